"""The configurations of the two proxies: HTTP/2 on both sides, and whatever each does by itself."""

from typing import Final

from tests.bench import configs
from tests.bench.world import NAME, World

_MESHPROXY: Final = """\
admin: {{ip: 127.0.0.1, port: 0}}
telemetry:
- kind: io.l5d.prometheus
- kind: io.l5d.recentRequests
  sampleRate: 0.25
- kind: io.l5d.statsd
  experimental: true
  prefix: linkerd
  hostname: 127.0.0.1
  port: 8125
  gaugeIntervalMs: 10000
  sampleRate: 1.0
routers:
- protocol: h2
  dtab: |
    /svc/web => /$/inet/127.0.0.1/{upstream} ;
  servers:
  - {{ip: 127.0.0.1, port: {port}, maxConcurrentStreamsPerConnection: 1000}}
  service:
    responseClassifier: {{kind: {classifier}}}
    retries:
      backoff: {{kind: jittered, minMs: 10, maxMs: 1000}}
  client:
    loadBalancer: {{kind: ewma}}
{tls}"""
_EXPLICIT: Final = """\
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
"""


def meshproxy(world: World, port: int, over_tls: bool) -> str:
    """Return a router of HTTP/2 with metrics, recent requests, EWMA, breakers and retries."""
    return _meshproxy(world, port, over_tls, "io.l5d.h2.retryableRead5XX")


def meshproxy_grpc(world: World, port: int, over_tls: bool) -> str:
    """Return the same, with outcomes judged by the `grpc-status` in the trailers."""
    return _meshproxy(world, port, over_tls, "io.l5d.h2.grpc.compliant")


def _meshproxy(world: World, port: int, over_tls: bool, classifier: str) -> str:
    tls = f"    tls: {{commonName: {NAME}, trustCertsBundle: {world.bundle}}}\n" if over_tls else ""
    upstream = world.tls_port if over_tls else world.port
    return _MESHPROXY.format(upstream=upstream, port=port, classifier=classifier, tls=tls)


def envoy(world: World, port: int, over_tls: bool) -> str:
    """Return the envoy.yaml of HTTP/1, with HTTP/2 on both sides."""
    text = configs.envoy(world, port, over_tls)
    text = text.replace("codec_type: HTTP1", "codec_type: HTTP2")
    return text.replace("    connect_timeout: 1s\n", f"    connect_timeout: 1s\n{_EXPLICIT}")
