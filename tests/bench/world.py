"""The upstream that every proxy leads to: one nginx, in clear and over TLS."""

import getpass
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.bench.machine import cores
from tests.kit.certs import Certs
from tests.kit.daemons import Daemon, find

NAME: Final = "upstream.test"
"""What the upstream's certificate is for."""
SMALL: Final = b"x" * 100
FILES: Final = {"10k": b"0123456789abcdef" * 640, "1m": b"0123456789abcdef" * 65_536}

_NGINX: Final = """\
user {user};
daemon off;
worker_processes 1;
pid {home}/upstream.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 600s; keepalive_requests 1000000000;
  client_max_body_size 64m; client_body_buffer_size 2m;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  open_file_cache max=100; default_type application/octet-stream;
  ssl_certificate {chain}; ssl_certificate_key {key};
  ssl_session_cache shared:sessions:4m;
  upstream itself {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen {port} backlog=4096;
    listen {tls_port} ssl backlog=4096;
    root {home}/www;
    location = /small {{ default_type text/plain; return 200 "{small}"; }}
    location = /chunked {{ ssi on; ssi_types *; alias {home}/www/10k; }}
    location = /post {{  # answers once it has read the whole body
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_method GET;
      proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_pass http://itself/small;
    }}
    location /put/ {{ dav_methods PUT; }}
  }}
}}
"""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class World:
    """The upstream, running on the core of the load; a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.tls_port = free_port(), free_port()
        certs = Certs(home)
        self.bundle = certs.bundle
        self.chain, self.key = certs.files(NAME)
        (home / "www" / "put").mkdir(parents=True)
        for name, body in FILES.items():
            (home / "www" / name).write_bytes(body)
        self._config = home / "upstream.conf"
        self._config.write_text(
            _NGINX.format(
                user=getpass.getuser(),
                home=home,
                chain=self.chain,
                key=self.key,
                port=self.port,
                tls_port=self.tls_port,
                small=SMALL.decode(),
            )
        )

    def __enter__(self) -> Self:
        command = ["taskset", "-c", cores()[1], find("nginx") or "nginx", "-p", str(self.home)]
        self._nginx = Daemon([*command, "-c", str(self._config)], self.home / "upstream.log")
        self._nginx.wait_port(self.port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._nginx.stop()
