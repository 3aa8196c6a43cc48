"""What one turn of the loop sends, sent together at its end.

With much to do, a turn serves many connections one after the other. A peer that is sent something
after each of them wakes up, does it and falls asleep again, at 5 us of our time for each waking;
sent everything at once it wakes up once, and the code of the turn and that of the kernel stay in
the processor's caches. That is a third of the CPU time of a small request at 32 connections.
"""

from typing import Any, Final

import gevent
from greenlet import greenlet

_AT_ONCE: Final = 1e-9
"""Seconds; over when the loop looks, so it does not sleep."""


def next_turn() -> None:
    """Go on in the next turn of the loop, so that what has come for others is served before.

    `gevent.sleep(0)` waits for callbacks alone: the loop looks at sockets after 5 ms of them.
    """
    gevent.sleep(_AT_ONCE)


class Unsent(Exception):
    """The socket did not take all that was posted: *rest* is left.

    Of what has *begun*, the peer may have got something.
    """

    def __init__(self, rest: bytes, *, begun: bool) -> None:
        super().__init__(rest)
        self.rest = rest
        self.begun = begun


class Sender:
    """The part of a stream that sends at the end of a turn."""

    __slots__ = ("_loop", "_waiter", "posted")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.posted = b""
        """What waits for the end of the turn."""
        self._waiter: greenlet | None = None
        """Who waits for something to read."""

    def send(self, data: bytes | memoryview, gap: float) -> None:
        """Send all of *data*, behind what was posted; see `Stream.send`."""
        raise NotImplementedError

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what the socket takes at once; the number of bytes, possibly none."""
        raise NotImplementedError

    def post(self, data: bytes) -> bool:
        """Send *data* when what is ready now was served; False, untouched, if nothing else is.

        False too while something is posted: whoever does not take it is not sent more and more.

        The next call is `receive`, which raises Unsent when the socket does not take it all. Who
        will not look out for that calls `flush` before.
        """
        if self.posted:
            return False
        if not _turn:
            if not self._loop.pendingcnt:
                return False
            self._loop.run_callback(_end_turn)
        _turn.append(self)
        self.posted = data
        return True

    def flush(self, gap: float) -> None:
        """Send all that was posted now; for *gap*, see `Stream.send`."""
        if self.posted:
            self.send(b"", gap)

    def withdraw(self) -> bool:
        """Take back what was posted; whether there was something, none of which was sent."""
        return bool(self._take_posted())

    def send_posted(self) -> None:
        """Send now what was posted; what is not taken goes to the reader, or with what follows."""
        data = self.posted
        if not data:
            return
        self.posted = b""
        begun = True
        try:
            rest = data[self.send_some(data) :]
        except OSError:
            rest, begun = data, False  # whoever sends it again learns the error
        if not rest:
            return
        waiter = self._waiter
        if waiter is None:
            self.posted = rest
        else:
            self._waiter = None
            waiter.throw(Unsent(rest, begun=begun))

    def _take_posted(self) -> bytes:
        data, self.posted = self.posted, b""
        return data


_turn: list[Sender] = []
"""Who has something to send at the end of this turn: as many as there are connections."""


def _end_turn() -> None:
    senders = _turn[:]
    _turn.clear()
    for sender in senders:
        sender.send_posted()
