"""Sessions of ours to an endpoint by PyPI's `h2`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

import gevent
from h2.events import RequestReceived
from h2.settings import SettingCodes

from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.h2_endpoint import H2Endpoint, Peer, Script, answer
from tests.kit.k8s import wait_until
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


TWO_STREAMS = {SettingCodes.MAX_CONCURRENT_STREAMS: 2}


class Held:
    """A script that answers when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Peer, int]] = []

    def __call__(self, peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            self.waiting.append((peer, event.stream_id))

    def answer(self, count: int = 1000) -> None:
        """Answer those that have waited longest."""
        for peer, stream_id in self.waiting[:count]:
            peer.reply(stream_id)
        del self.waiting[:count]


def settled(sessions: Sessions) -> None:
    """Make the first session, and wait until its settings are known."""
    sending = gevent.spawn(sessions.send)
    script: Held = sessions_script(sessions)
    wait_until(lambda: script.waiting)
    script.answer()
    sending.get(timeout=WAIT_S)


def sessions_script(sessions: Sessions) -> Held:
    script: Held = sessions.script  # type: ignore[attr-defined]
    return script


def asking(sessions: Sessions, count: int) -> list["gevent.Greenlet[..., Response]"]:
    return [gevent.spawn(sessions.send) for _ in range(count)]
