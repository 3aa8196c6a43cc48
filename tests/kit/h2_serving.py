"""A listener of HTTP/2 in front of a service."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent import socket

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.watched import Watched
from meshproxy.errors import ProxyError
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.h2.settings import LocalSettings
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.metrics.tree import Tree
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.h2.protocol import Http2
from meshproxy.server.h2.session import ServerSession
from meshproxy.server.h2.stats import H2ServerStats
from meshproxy.server.listener import Listener, ServerParameters
from meshproxy.server.listening import listen
from meshproxy.server.negotiated import Negotiated
from meshproxy.server.protocol import ServerProtocol
from meshproxy.service import Service, stack

from .h2_wire import H2Wire
from .wire import WAIT_S, dial


@dataclass
class H2Serving:
    """A listener, its metrics, and why heads did not become requests."""

    metrics: Tree = field(default_factory=Tree)
    refused: list[ProxyError] = field(default_factory=list)
    listener: Listener = None  # type: ignore[assignment] # it is made last
    protocol: ServerProtocol = None  # type: ignore[assignment]

    @property
    def sessions(self) -> list[ServerSession]:
        """Return the open connections."""
        return [one for one in self.listener._connections if isinstance(one, ServerSession)]

    @property
    def session(self) -> ServerSession:
        """Return the only open connection."""
        (only,) = self.sessions
        return only

    def connect(self) -> socket.socket:
        """Return a connected socket."""
        return dial(("127.0.0.1", self.listener.port))

    @contextmanager
    def client(self, window: int | None = None) -> Iterator[H2Wire]:
        """Give a client, closed afterwards."""
        with self.connect() as sock:
            yield H2Wire(sock, window)

    def count(self, *names: str) -> float:
        """Return what a counter or gauge says."""
        *scopes, name = names
        return getattr(self.metrics.scope(*scopes).instruments.get(name), "value", 0)


def ok(_request: Request) -> Response:
    """Answer 200 with `ok`."""
    return text_response(200, "ok")


def parameters(
    server: H2Serving,
    service: Service[Request, Response] = ok,
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    both: bool = False,
    max_connections: int = 0,
    **local: Any,
) -> ServerParameters:
    """Return what a listener for *service* is made of; with *both* it takes HTTP/1 too."""
    limits = limits or Limits()

    def answer(error: ProxyError, _request: Request | None) -> Response:
        server.refused.append(error)
        return error_response(error, limits)

    served = stack([ErrorResponder(limits, server.metrics)], service)
    http2 = Http2(served, limits, answer, H2ServerStats(server.metrics), LocalSettings(**local))
    protocol = Negotiated(Http1(served, limits, answer), http2) if both else http2
    return ServerParameters(
        protocol=protocol,
        max_connections=max_connections,
        metrics=server.metrics,
        context=None if tls is None else Watched((), lambda: tls),
        options=SocketOptionsConfig(),
    )


@contextmanager
def serving_h2(
    service: Service[Request, Response] = ok, limits: Limits | None = None, **more: Any
) -> Iterator[H2Serving]:
    """Serve *service*; see `parameters`."""
    server = H2Serving()
    made = parameters(server, service, limits, **more)
    server.protocol = made.protocol
    server.listener = Listener(listen(("127.0.0.1", 0), SocketOptionsConfig()), made)
    server.listener.start()
    try:
        with gevent.Timeout(3 * WAIT_S):
            yield server
    finally:
        server.listener.close(1.0)
