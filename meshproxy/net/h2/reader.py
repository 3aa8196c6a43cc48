"""The receiving half of a session: what has arrived is read by the engine, then greenlets go on.

A head, the preface included, has to arrive within `head_seconds`.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from meshproxy.h2.errors import H2ConnectionError
from meshproxy.http.limits import Limits
from meshproxy.net.h2.writer import SessionWriter
from meshproxy.net.stream import RECEIVE, Stream


class SessionReader(SessionWriter):
    """Hands what `stream` receives to `engine`. Heads have the time that *limits* says."""

    __slots__ = (
        "_arrivals", "_head_by", "_is_waking", "_most", "_must_drain", "_woken", "idle_since",
        "is_ending", "limits",
    )  # fmt: skip

    def __init__(self, stream: Stream, loop: Any, limits: Limits) -> None:
        super().__init__(stream, loop)
        self.limits = limits
        self.is_ending = False
        """True once the last GOAWAY has been sent: the session ends with its last stream."""
        self.idle_since = monotonic()
        """Monotonic second since which no stream is open; of no meaning while one is."""
        self._arrivals: deque[Any] = deque()
        """Requests that have come and are not being served yet; none for a client."""
        self._must_drain = False
        """True if the peer has opened a window that bodies wait for."""
        self._woken: list[Callable[[], object]] = []
        self._is_waking = False
        self._head_by = inf
        self._most = RECEIVE

    def soon(self, callback: Callable[[], object]) -> None:
        """Calls *callback* in the hub once everything that has been read is handled."""
        self._woken.append(callback)
        if not self._is_waking:
            self._wake_soon()

    def watch_until(self, due: float) -> None:
        """Has the time limits of the session checked at monotonic second *due*, or before."""
        raise NotImplementedError

    def broken_off(self, code: int, why: str) -> None:
        """Ends the session for a fault of the peer, which GOAWAY with *code* tells it."""
        raise NotImplementedError

    def _serve_arrivals(self) -> None:
        """Begins to serve what has arrived; called after a read."""
        raise NotImplementedError

    def _begin(self, received: bytes) -> None:
        if self.is_closed:
            return
        if received:
            self._feed(received)
        if not self.is_closed:
            self._readable()

    def _readable(self) -> None:
        data = self.stream.receive_buffered(self._most)
        if data:
            self._most = 4 * RECEIVE if len(data) >= RECEIVE else RECEIVE
            self._feed(data)
        elif data is not None:
            self.lost("")

    def _feed(self, data: bytes) -> None:
        now = monotonic()
        engine = self.engine
        self._is_waking = True
        try:
            engine.receive(data, now)
        except H2ConnectionError as error:
            self.broken_off(error.code, str(error))
        finally:
            self._is_waking = False
        if engine.reader.is_within_head:
            if self._head_by == inf:
                self._head_by = now + self.limits.head_seconds
                self.watch_until(self._head_by)
        else:
            self._head_by = inf
        if self._must_drain:
            self._drain()
        if self._arrivals:
            self._serve_arrivals()
        if self._woken:
            self._wake()
        if not engine.streams:
            self.idle_since = now
            if self.is_ending:
                self.touch()
        if not self.is_queued and engine.has_output():
            self.touch()

    def _drain(self) -> None:
        self._must_drain = False
        if self._backlog is None and not self.is_closed:
            self.drain()

    def _wake_soon(self) -> None:
        self._is_waking = True
        self._loop.run_callback(self._wake)

    def _wake(self) -> None:
        """Calls those that were woken so far; what they wake in turn comes later."""
        self._is_waking = False
        woken = iter(self._woken)
        self._woken = []
        try:
            for callback in woken:
                callback()
        except BaseException:
            self._woken[:0] = woken
            self._wake_soon()
            raise
