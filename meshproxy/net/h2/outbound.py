"""A body that is being sent on a stream, within the peer's windows and the socket's pace."""

from collections import deque
from collections.abc import Iterable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from meshproxy.errors import ProxyError
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.frames import MIN_FRAME_BYTES
from meshproxy.h2.heads import trailer_fields
from meshproxy.h2.reader import COPIED_BYTES
from meshproxy.http.headers import Headers
from meshproxy.net.h2.memory import memory
from meshproxy.net.h2.pieces import JOINED_BELOW, hold
from meshproxy.net.h2.waiting import Waiting

if TYPE_CHECKING:
    from meshproxy.net.h2.inbound import Inbound
    from meshproxy.net.h2.stream import SessionStream

_FRAME_BYTES = MIN_FRAME_BYTES
_TURN_BYTES = 2 * _FRAME_BYTES
"""Bytes of one body that are sent before another one has its turn; up to a frame more if that is
all that may be sent, so that half a usual window is one turn."""
_SMALL_BYTES = _FRAME_BYTES // 2
"""Pieces of fewer bytes, as a window may leave, are sent together with the next ones."""


class Outbound(Waiting):
    """Sends pieces as soon as they may be sent; what may not waits here.

    What waits is bounded by the source: a coupled `Inbound` gets no credit for it, and a greenlet
    that writes waits itself.
    """

    __slots__ = (
        "_ends", "_noted", "_owner", "_pending", "_trailers", "_waiter", "_waits", "deadline",
        "filed_until", "since", "source",
    )  # fmt: skip

    def __init__(self, owner: "SessionStream") -> None:
        self._waiter = None
        self.deadline = self.filed_until = inf
        self._owner = owner
        self._pending: deque[bytes | memoryview] = deque()
        self._waits = 0
        """Bytes in it."""
        self._noted = 0
        """Bytes that `memory` counts, a power of two: what waits or more, at most twice that."""
        self._ends = False
        self._trailers: Headers | None = None
        self.source: Inbound | None = None
        """The body that is coupled to this one."""
        self.since = inf
        """Monotonic second since which a piece waits and none was sent; infinity if none waits."""

    @property
    def is_blocked(self) -> bool:
        """True while a piece waits."""
        return bool(self._pending)

    def push(self, data: bytes | memoryview, ends: bool = False) -> None:
        """Sends *data*, or as much as may be sent now and the rest later; *ends* is for the last.

        The data must stay as it is until the session has been flushed.
        """
        if self._pending:
            self._ends |= ends
            self._hold(data)
            return
        owner = self._owner
        if not owner.can_send or owner.failure is not None:
            return
        self._ends = ends
        session = owner.session
        length, room, sent = len(data), session.room, 0
        if length > COPIED_BYTES:
            session.is_bulk = True
        if (length and room > 0) or (ends and not length):
            sent = session.engine.send_data(owner, data, ends, room)
            session.room = room - sent
            if not session.is_queued:
                session.touch()
            if sent and self.source is not None:
                self.source.handed(sent)
        if sent < length:
            self._hold(data[sent:])
            self._wait()
        elif ends:
            owner.output_ended()

    def finish(self, trailers: Headers | None) -> None:
        """Ends the body, after what waits."""
        if not self._owner.can_send or self._owner.failure is not None:
            return
        if trailers is not None and len(trailers):
            self._trailers = trailers
            if not self._pending:
                self._send_trailers()
            self._ends = True
        else:
            self.push(b"", ends=True)

    def offer(self, piece: bytes | memoryview) -> None:
        """Sends *piece*, or as much as may be sent now; afterwards it may change.

        The next one must wait until `is_blocked` is False.
        """
        if type(piece) is memoryview and len(piece) <= COPIED_BYTES:
            piece = bytes(piece)
        self.push(piece)
        if type(piece) is memoryview:
            self._owner.session.send_queued()

    def write(self, piece: bytes | memoryview) -> None:
        """Sends *piece* from a greenlet, which waits while the peer takes no more.

        Afterwards *piece* may change. Raises the error that ended the stream.
        """
        self._check()
        self.offer(piece)
        while self._pending:
            self.wait(inf)  # the session ends a stream whose peer does not read
            self._check()
        self._check()

    def write_all(self, body: Iterable[bytes | memoryview]) -> None:
        """Writes the pieces of *body*, but not its end; see `write`."""
        for piece in body:
            self.write(piece)

    def take_turn(self, most: int, now: float) -> int:
        """Sends a few frames of what waits, at most *most* bytes, at monotonic second *now*.

        Returns how many bytes; none if the stream's window is closed.
        """
        owner = self._owner
        session = owner.session
        allowed = min(owner.send_window, most)
        if allowed <= 0:
            session.forget(self)
            return 0
        if allowed >= _TURN_BYTES + _FRAME_BYTES:
            allowed = _TURN_BYTES
        pieces, length = self._taken(allowed)
        left = self._waits = self._waits - length
        if length > COPIED_BYTES:
            session.is_bulk = True
        is_last = not left and self._ends and self._trailers is None
        session.engine.send_frames(owner, pieces, length, is_last)
        self.since = session.progressed_at = now
        if self.source is not None:
            self.source.handed(length)
        if not left:
            self._drained(is_last=is_last)
        elif left * 2 < self._noted:
            self._note(left)
        return length

    def _taken(self, most: int) -> tuple[list[bytes | memoryview], int]:
        """Takes frames of together *most* bytes, or all that waits; returns the bytes too."""
        pending = self._pending
        pieces: list[bytes | memoryview] = []
        left = most
        while pending and left:
            piece = pending.popleft()
            size = len(piece)
            if size > left or size > _FRAME_BYTES:
                allowed = min(left, _FRAME_BYTES)
                rest = memoryview(piece)
                pending.appendleft(rest[allowed:])
                piece, size = rest[:allowed], allowed
            elif size < _SMALL_BYTES and pending:
                piece = self._joined(piece, min(left, _FRAME_BYTES))
                size = len(piece)
            pieces.append(piece)
            left -= size
        return pieces, most - left

    def _joined(self, first: bytes | memoryview, most: int) -> bytes | memoryview:
        """Returns *first* and what waits behind it, whole pieces of together *most* bytes."""
        pending = self._pending
        pieces, length = [first], len(first)
        while pending and (length := length + len(pending[0])) <= most:
            pieces.append(pending.popleft())
        return b"".join(pieces) if len(pieces) > 1 else first

    def window_opened(self) -> None:
        """Goes on after the stream's window has been enlarged."""
        if self._pending:
            self._owner.session.window_opened(self)

    def is_stalled(self, since: float) -> bool:
        """Returns True if the peer alone has held it up since monotonic second *since*."""
        if self.since > since:
            return False
        owner = self._owner
        return owner.send_window <= 0 or owner.session.progressed_at <= since

    def stalled(self) -> None:
        """Ends the stream, as its peer has not read for too long."""
        self._owner.stalled()

    def give_up(self, error: ProxyError) -> None:
        """Ends the stream with *error*, as its peer does not read and memory is short."""
        self._owner.reset(ErrorCode.CANCEL, error)

    def source_failed(self, error: ProxyError) -> None:
        """Ends the stream, since the body that was coupled to this one was cut short."""
        self.source = None
        self._owner.source_failed(error)

    def abandon(self, code: int) -> None:
        """Drops what waits, as the stream is over; the source is told *code*."""
        self._forget()
        source, self.source = self.source, None
        if source is not None:
            source.sink_lost(code)
        self.resume_soon(self._owner.session)

    def _hold(self, data: bytes | memoryview) -> None:
        count = len(data)
        if count >= JOINED_BELOW:
            self._pending.append(data.tobytes() if type(data) is memoryview else bytes(data))
        elif count:
            hold(self._pending, data)
        waits = self._waits = self._waits + count
        if waits > self._noted:
            self._note(waits)

    def _note(self, waits: int) -> None:
        """Tells `memory` that *waits* bytes wait, up to the next power of two: so, seldom."""
        self._noted = noted = 1 << (waits - 1).bit_length() if waits else 0
        memory.note(self, self._owner.session, noted)

    def _drained(self, *, is_last: bool) -> None:
        self._forget()
        if is_last:
            self._owner.output_ended()
        elif self._trailers is not None:
            self._send_trailers()
        self.resume_soon(self._owner.session)

    def _send_trailers(self) -> None:
        owner, trailers = self._owner, self._trailers
        if trailers is not None:
            fields, names = trailer_fields(trailers)
            owner.session.engine.send_fields(owner, fields, True, trailers.never_indexed, names)
            owner.session.touch()
            owner.output_ended()

    def _wait(self) -> None:
        session = self._owner.session
        self.since = monotonic()
        session.wait_for_room(self)
        session.stalled.add(self)
        session.watch(self.since)
        if session.room <= 0:
            session.touch()

    def _forget(self) -> None:
        session = self._owner.session
        self._pending.clear()
        self._waits = 0
        if self._noted:
            self._note(0)
        self.since = inf
        session.forget(self)
        session.stalled.discard(self)

    def _check(self) -> None:
        """Raises the error that ended the stream, if it did."""
        error: ProxyError | None = self._owner.failure
        if error is not None:
            raise error
