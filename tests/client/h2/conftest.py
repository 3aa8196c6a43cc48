"""Sessions of ours to an endpoint by PyPI's `h2`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.h2_endpoint import H2Endpoint, Script, answer
from tests.kit.messages import request

WAIT_S = 10.0
TRANSPORT = Transport(Limits(), 5.0)


class Sessions(EndpointSessions):
    """Sessions with their metrics at hand."""

    def __init__(self, port: int, transport: Transport = TRANSPORT) -> None:
        self.metrics = Tree()
        super().__init__(Address("127.0.0.1", port), transport, ConnectStats(self.metrics))

    def send(self, asked: Request | None = None, seconds: float = WAIT_S) -> Response:
        return self.exchange(asked or request(), monotonic() + seconds)

    def count(self, name: str) -> int:
        return self.metrics.counter(name).value

    @property
    def open(self) -> float:
        return self.metrics.gauge("connections").read()


@contextmanager
def to_endpoint(
    script: Script = answer, settings: Any = None, **more: Any
) -> Iterator[tuple[Sessions, H2Endpoint]]:
    """Give sessions to an endpoint that does what *script* says; *more* is for the transport."""
    with H2Endpoint(script, settings) as endpoint:
        limits = replace(Limits(), **more.pop("limits", {}))
        sessions = Sessions(endpoint.port, replace(TRANSPORT, limits=limits, **more))
        try:
            yield sessions, endpoint
        finally:
            sessions.close()
            sessions.let_go(100)
