"""Sends what one turn of the loop produced together, at its end.

A busy turn serves many connections one after the other. A peer that is sent something after each
of them wakes up and falls asleep every time, at our cost; sent everything at once, it wakes up
once, and the code of the turn and that of the kernel stay in the processor's caches. How much this
saves is in docs/performance.md and docs/adr/0008.
"""

from collections.abc import Generator
from typing import Any, Final, Protocol

import gevent
from greenlet import greenlet

_AT_ONCE: Final = 1e-9
"""Seconds; already past when the loop checks, so that it does not sleep."""


def next_turn() -> None:
    """Continues in the next turn of the loop, so that other sockets are served first.

    `gevent.sleep(0)` only lets other callbacks run: the loop may not poll sockets for a while.
    """
    gevent.sleep(_AT_ONCE)


def in_turns(steps: Generator[None, None, None]) -> None:
    """Takes one of *steps* in each turn of the loop, from the next on; closing them ends this."""
    gevent.spawn(_take, steps)


def _take(steps: Generator[None, None, None]) -> None:
    next_turn()
    for _ in steps:
        next_turn()


class Unsent(Exception):
    """The socket did not accept all that was queued; *rest* is left.

    If *begun*, part of it may have reached the peer.
    """

    def __init__(self, rest: bytes, *, begun: bool) -> None:
        super().__init__(rest)
        self.rest = rest
        self.begun = begun


class Queued(Protocol):
    """What has data to send at the end of a turn."""

    def send_queued(self) -> None:
        """Sends it; must not raise."""
        ...


class Sender:
    """The part of a stream that sends at the end of a turn."""

    __slots__ = ("_loop", "_waiter", "queued")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.queued = b""
        """Data to be sent at the end of this loop turn."""
        self._waiter: greenlet | None = None
        """The greenlet that waits for something to read."""

    def send(self, data: bytes | memoryview, timeout: float) -> None:
        """Sends all of *data*, after what is queued; see `Stream.send`."""
        raise NotImplementedError

    def send_some(self, data: bytes | memoryview) -> int:
        """Sends what the socket accepts at once, and returns the number of bytes, possibly 0."""
        raise NotImplementedError

    def enqueue(self, data: bytes) -> bool:
        """Queues *data* to be sent at the end of this loop turn.

        Returns False, and queues nothing, if no other event is pending, or if something is queued
        already, so that the queue of a peer that does not read cannot grow.

        The caller's next call must be `receive`, which raises Unsent if the socket does not accept
        all of it; a caller that does not handle that calls `flush` first.
        """
        if self.queued:
            return False
        if not _turn:
            if not self._loop.pendingcnt:
                return False
            self._loop.run_callback(_end_turn)
        _turn.append(self)
        self.queued = data
        return True

    def flush(self, timeout: float) -> None:
        """Sends all that is queued now; for *timeout*, see `Stream.send`."""
        if self.queued:
            self.send(b"", timeout)

    def cancel(self) -> bool:
        """Drops what is queued. Returns True if there was something; none of it was sent."""
        return bool(self._take_queued())

    def send_queued(self) -> None:
        """Sends what is queued; if the socket does not accept all, raises Unsent in the reader.

        Without a reader the rest stays queued and is sent before anything else.
        """
        data = self.queued
        if not data:
            return
        self.queued = b""
        begun = True
        try:
            rest = data[self.send_some(data) :]
        except OSError:
            rest, begun = data, False  # sending it again raises the error where it is handled
        if not rest:
            return
        waiter = self._waiter
        if waiter is None:
            self.queued = rest
        else:
            self._waiter = None
            waiter.throw(Unsent(rest, begun=begun))

    def _take_queued(self) -> bytes:
        data, self.queued = self.queued, b""
        return data


_turn: list[Queued] = []
"""What has queued data; at most one entry for each connection."""


def at_end_of_turn(loop: Any, sender: Queued) -> None:
    """Calls `send_queued` of *sender* at the end of this loop turn; it must not be queued yet."""
    if not _turn:
        loop.run_callback(_end_turn)
    _turn.append(sender)


def _end_turn() -> None:
    senders = _turn[:]
    _turn.clear()
    for sender in senders:
        sender.send_queued()
