"""A listener in front of a service that notes what reached it."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.watched import Watched
from meshproxy.errors import ProxyError
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.metrics.tree import Tree
from meshproxy.net.descriptors import CLIENTS
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.listener import Listener, ServerParameters
from meshproxy.server.listening import listen
from meshproxy.server.opening import Balancers
from meshproxy.service import stack

Respond = Callable[[Request, bytes], Response]


@dataclass(frozen=True, slots=True)
class Served:
    """One request that was read to its end."""

    line: str
    """Method, target and body."""
    host: str | None
    fields: list[tuple[str, str]]
    trailers: list[tuple[str, str]]


@dataclass
class Serving:
    """What a listener's service has seen."""

    listener: Listener
    metrics: Tree
    served: list[Served] = field(default_factory=list)
    refused: list[ProxyError] = field(default_factory=list)
    """Why bytes did not become a request."""

    @property
    def port(self) -> int:
        """Return the port listened on."""
        return self.listener.port

    @property
    def lines(self) -> list[str]:
        """Return method, target and body of each request."""
        return [one.line for one in self.served]


def ok(_request: Request, _body: bytes) -> Response:
    """Answer 200 with `ok`."""
    return text_response(200, "ok")


@contextmanager
def serving(
    respond: Respond = ok,
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    reads_body: bool = True,
    max_connections: int = 0,
    share: float = CLIENTS,
    proxy_protocol: Balancers | None = None,
    grace_s: float = 1.0,
) -> Iterator[Serving]:
    """Serve *respond*, which gets each request with its body, read unless told not to."""
    limits = limits or Limits()
    metrics = Tree()

    def service(request: Request) -> Response:
        body = request.body
        read = b"".join(map(bytes, body)) if body is not None and reads_body else b""
        state.served.append(
            Served(
                f"{text(request.method)} {text(request.target)} {text(read)}",
                None if (host := request.headers.get(b"host")) is None else text(host),
                shown(request.headers.items()),
                shown(body.trailers.items()) if body is not None and body.trailers else [],
            )
        )
        return respond(request, read)

    def answer(error: ProxyError, _request: Request | None) -> Response:
        state.refused.append(error)
        return error_response(error, limits)

    listener = Listener(
        listen(("127.0.0.1", 0), SocketOptionsConfig()),
        ServerParameters(
            protocol=Http1(stack([ErrorResponder(limits, metrics)], service), limits, answer),
            max_connections=max_connections,
            metrics=metrics,
            context=None if tls is None else Watched((), lambda: tls),
            proxy_protocol=proxy_protocol,
            share=share,
        ),
    )
    state = Serving(listener, metrics)
    listener.start()
    try:
        yield state
    finally:
        listener.close(grace_s)


def text(data: bytes) -> str:
    """Return *data* as the characters of ISO-8859-1."""
    return data.decode("latin-1")


def shown(items: Iterator[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return names and values as text."""
    return [(text(name), text(value)) for name, value in items]
