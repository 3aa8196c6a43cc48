"""The sending half of a session: one send a turn, a backlog, and turns for bodies that wait.

What the streams of a session produce in one turn of the loop leaves in one send. While the socket
takes no more, bodies stop; frames without a body are few (`h2.guard`, `h2.sender`).
"""

from math import inf
from time import monotonic
from typing import Any

from meshproxy.h2.connection import H2Connection
from meshproxy.net.h2.outbound import Outbound
from meshproxy.net.stream import Stream
from meshproxy.net.turn import at_end_of_turn

_ROOM = 256 * 1024
"""Bytes of waiting bodies that a session may send before others get their turn."""


class SessionWriter:
    """Writes what `engine` has to send to `stream`."""

    __slots__ = (
        "_backlog", "_is_newcomers", "_loop", "_newcomers", "_ring", "blocked_since", "engine",
        "flushes", "is_bulk", "is_closed", "is_queued", "progressed_at", "room", "stalled",
        "stream",
    )  # fmt: skip

    engine: H2Connection

    def __init__(self, stream: Stream, loop: Any) -> None:
        self.stream = stream
        self._loop = loop
        self.is_closed = False
        self.is_queued = False
        """True if what there is to send will be sent at the end of this turn."""
        self.flushes = 0
        """How often everything that waited has been sent, or begun to be."""
        self._backlog: memoryview | None = None
        self.blocked_since = inf
        """Monotonic second since which the socket has taken nothing; infinity if it takes more."""
        self.room = _ROOM
        """Bytes of bodies that may be sent before this turn's end; 0 or less while blocked."""
        self.is_bulk = False
        """True if there are pieces to send that are too long to be joined."""
        self._ring: dict[Outbound, None] = {}
        """Bodies that wait for the socket, or for the connection's window."""
        self._newcomers: dict[Outbound, None] = {}
        """Those of them that had no turn since they began to wait."""
        self._is_newcomers = False
        """True if the last turn was a newcomer's."""
        self.stalled: set[Outbound] = set()
        """Those, and bodies that wait for their stream's window."""
        self.progressed_at = 0.0
        """Monotonic second at which the last of them sent something."""

    @property
    def is_blocked(self) -> bool:
        """True while the socket takes no more."""
        return self._backlog is not None

    def touch(self) -> None:
        """Has what the engine has to send sent at the end of this turn of the loop."""
        if not self.is_queued and not self.is_closed:
            self.is_queued = True
            at_end_of_turn(self._loop, self)

    def send_queued(self) -> None:
        """Sends what the engine has, unless there is a backlog.

        Afterwards nothing refers to the pieces that bodies were made of.
        """
        self.is_queued = False
        if self.is_closed or self._backlog is not None:
            return
        out = self.engine.take()
        rest: memoryview | None = None
        try:
            if self.is_bulk:
                rest = self._send_pieces(out)
            elif out:
                data = b"".join(out)
                sent = self.stream.send_some(data)
                if sent != len(data):
                    rest = memoryview(data)[sent:]
                    rest = self._send(rest) if sent else rest
        except OSError:
            self.lost("")
            return
        self.flushes += 1
        if rest or (self._ring and self.room <= 0):
            self._block(rest or memoryview(b""))
        else:
            self.room = _ROOM
            self._sent()

    def wait_for_room(self, outbound: Outbound) -> None:
        """Lets *outbound* send more as soon as socket and connection's window allow it."""
        self._ring[outbound] = self._newcomers[outbound] = None

    def forget(self, outbound: Outbound) -> None:
        """Lets *outbound* send nothing more."""
        self._ring.pop(outbound, None)
        self._newcomers.pop(outbound, None)

    def drain(self) -> None:
        """Lets bodies that wait send, each in its turn, and every other turn a newcomer.

        So a short one does not wait for all the long ones, nor these for many short ones.
        """
        ring, newcomers = self._ring, self._newcomers
        now, engine = monotonic(), self.engine
        while ring and (allowed := min(self.room, engine.send_window)) > 0:
            self._is_newcomers = is_new = bool(newcomers) and not self._is_newcomers
            outbound = next(iter(newcomers if is_new else ring))
            newcomers.pop(outbound, None)
            self.room -= outbound.take_turn(allowed, now)
            if len(ring) > 1 and outbound in ring:
                ring[outbound] = ring.pop(outbound)
        if not self.is_queued:
            self.touch()

    def lost(self, ending: str) -> None:
        """Ends the session because the connection is over, or has to be."""
        raise NotImplementedError

    def _sent(self) -> None:
        """Called when everything that waited has been sent."""

    def _send_pieces(self, out: list[bytes | memoryview]) -> memoryview | None:
        """Sends *out*, some of it long; returns what the socket did not take. Raises OSError."""
        self.is_bulk = False
        sent = self.stream.send_pieces(out)
        if sent == sum(map(len, out)):
            return None
        return memoryview(b"".join(out))[sent:]

    def _send(self, rest: memoryview) -> memoryview | None:
        sent = 1
        while sent and rest:
            sent = self.stream.send_some(rest)
            rest = rest[sent:]
        return rest or None

    def _block(self, rest: memoryview) -> None:
        """Goes on in the turn in which the socket takes more, which is the next one if it does."""
        self._backlog = rest
        self.room = 0
        self.blocked_since = monotonic()
        self.stream.follow_writable(self._writable)
        self.watch(self.blocked_since)

    def watch(self, at: float) -> None:
        """Has the time limits of the session looked at for something that began at second *at*."""
        raise NotImplementedError

    def _writable(self) -> None:
        backlog = self._backlog
        if backlog:
            try:
                rest = self._send(backlog)
            except OSError:
                self.lost("")
                return
            if rest:
                if len(rest) < len(backlog):
                    self._backlog = rest
                    self.blocked_since = monotonic()
                return
        self._backlog = None
        self.blocked_since = inf
        self.room = _ROOM
        self.stream.unfollow_writable()
        self.drain()
        self.unblocked()

    def unblocked(self) -> None:
        """Called when the socket takes more again."""
