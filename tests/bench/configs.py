"""The configurations of the proxies: each does for the upstream what it does by itself."""

import getpass
from pathlib import Path
from typing import Final

from tests.bench.world import NAME, World

ROOT: Final = Path(__file__).parents[2]

_HAPROXY: Final = """\
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}
  default_backend upstream
backend upstream
  balance random(2)
  server one 127.0.0.1:{upstream} pool-max-conn 1000{tls}
"""

_NGINX: Final = """\
user {user};
daemon off;
worker_processes 1;
pid {home}/peer.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
  access_log off; tcp_nodelay on;
  keepalive_timeout 600s; keepalive_requests 1000000000; client_max_body_size 64m;
  client_body_temp_path {home}/peer-body; proxy_temp_path {home}/peer-proxy;
  fastcgi_temp_path {home}/peer-f; uwsgi_temp_path {home}/peer-u; scgi_temp_path {home}/peer-s;
  upstream one {{ server 127.0.0.1:{upstream}; keepalive 300; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {scheme}://one; proxy_http_version 1.1; proxy_set_header Connection "";
      {tls}
    }}
  }}
}}
"""

_ENVOY: Final = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network\
.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: HTTP1
          common_http_protocol_options: {{idle_timeout: 600s}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: upstream, timeout: 60s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: upstream
    type: STATIC
    connect_timeout: 1s
    lb_policy: LEAST_REQUEST
    circuit_breakers:
      thresholds: [{{max_connections: 4096, max_pending_requests: 4096, max_requests: 4096}}]
    load_assignment:
      cluster_name: upstream
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
{tls}"""

_ENVOY_TLS: Final = """\
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: {name}
        common_tls_context: {{validation_context: {{trusted_ca: {{filename: {bundle}}}}}}}
"""


def haproxy(world: World, port: int, over_tls: bool) -> str:
    """Return haproxy.cfg."""
    tls = f" ssl verify required ca-file {world.bundle} sni str({NAME})" if over_tls else ""
    return _HAPROXY.format(port=port, upstream=_upstream(world, over_tls), tls=tls)


def nginx(world: World, port: int, over_tls: bool) -> str:
    """Return nginx.conf."""
    tls = f"proxy_ssl_name {NAME}; proxy_ssl_server_name on; proxy_ssl_verify on;"
    return _NGINX.format(
        user=getpass.getuser(),
        home=world.home,
        port=port,
        upstream=_upstream(world, over_tls),
        scheme="https" if over_tls else "http",
        tls=f"{tls} proxy_ssl_trusted_certificate {world.bundle};" if over_tls else "",
    )


def envoy(world: World, port: int, over_tls: bool) -> str:
    """Return envoy.yaml."""
    tls = _ENVOY_TLS.format(name=NAME, bundle=world.bundle) if over_tls else ""
    return _ENVOY.format(port=port, upstream=_upstream(world, over_tls), tls=tls)


def meshproxy(world: World, port: int, over_tls: bool) -> str:
    """Return conf/egress.yaml with a rule for the upstream, and everything in it on."""
    upstream = _upstream(world, over_tls)
    text = (ROOT / "conf" / "egress.yaml").read_text()
    text = _replaced(text, "  port: 9990", "  port: 0")
    text = _replaced(text, "  - port: 4141", "  - port: 0")
    text = _replaced(text, "  - port: 4140", f"  - port: {port}")
    text = _replaced(
        text,
        "    /svc/world => /srv/world-v1 ;",
        f"    /svc/web => /$/inet/127.0.0.1/{upstream} ;\n    /svc/world => /srv/world-v1 ;",
    )
    if over_tls:
        text = _replaced(
            text,
            '    - prefix: "/$/io.buoyant.rinet/443/{service}"',
            f'    - prefix: "/$/inet/127.0.0.1/{upstream}"\n'
            f"      tls: {{commonName: {NAME}, trustCertsBundle: {world.bundle}}}\n"
            '    - prefix: "/$/io.buoyant.rinet/443/{service}"',
        )
    return text


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"conf/egress.yaml has changed: {old!r} is there {text.count(old)} times")
    return text.replace(old, new)


def _upstream(world: World, over_tls: bool) -> int:
    return world.tls_port if over_tls else world.port
