"""A body that arrives on a stream: coupled to another stream, or read piece by piece.

The peer may send again what has been handed on: the slower side governs, one window waits here.
"""

from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from meshproxy.errors import BodyTooLarge, ProxyError
from meshproxy.http.body import Interruption, Splice
from meshproxy.http.headers import Headers
from meshproxy.net.body import Faults
from meshproxy.net.h2.kept import Kept
from meshproxy.net.h2.memory import SMALL, memory
from meshproxy.net.h2.pieces import hold
from meshproxy.net.h2.waiting import Waiting
from meshproxy.net.stream import StreamTimeout, wait_either
from meshproxy.net.wheel import wheel

if TYPE_CHECKING:
    from meshproxy.net.h2.outbound import Outbound
    from meshproxy.net.h2.stream import SessionStream

_END_SECONDS = 2.0
"""For the end of a stream on which all came that was announced, while a reader waits for it."""


class Inbound(Waiting):
    """Both a request's and a response's body; see `http.body`.

    No more than *idle_seconds* may pass between two pieces. A body of over *max_bytes* fails with
    BodyTooLarge. Up to *keep_bytes* are held to be sent again. Errors come from *faults*.
    """

    __slots__ = (
        "_failure", "_faults", "_fresh", "_idle_seconds", "_kept", "_latest", "_max_bytes",
        "_owed", "_owner", "_sink", "_waiter", "deadline", "filed_until", "held", "invite",
        "is_broken", "is_complete", "length", "on_end", "received", "trailers",
    )  # fmt: skip

    is_bulk = False

    def __init__(
        self,
        owner: "SessionStream",
        length: int | None,
        faults: Faults,
        idle_seconds: float,
        max_bytes: float = inf,
        keep_bytes: int = 0,
    ) -> None:
        self._waiter = None
        self.deadline = self.filed_until = self._latest = inf
        self._owner = owner
        self.length = length
        """Length in bytes; None if the peer has not said it."""
        self._faults = faults
        self._idle_seconds = idle_seconds
        self._max_bytes = max_bytes
        self._kept = Kept(keep_bytes, length)
        self._fresh: list[bytes] = []
        self.held = 0
        """Bytes that have arrived and have not been read."""
        self._owed = 0
        """Bytes of the piece read last, which the peer is granted again with the next one."""
        self.received = 0
        """Bytes that have arrived so far, read or not."""
        self.trailers: Headers | None = None
        """The fields after the body, once all of it has arrived."""
        self.is_complete = False
        """True once all of it has arrived."""
        self.is_broken = False
        """True if the peer that sends it cut it short, stalled, or violated the protocol."""
        self._failure: ProxyError | None = None
        self._sink: Outbound | None = None
        self.invite: Callable[[], None] | None = None
        """Called once, when a body that has not begun is first read (100 Continue)."""
        self.on_end: Callable[[bool], object] | None = None
        """Called once at the end, with `is_broken`; must not wait."""

    def take_piece(self, data: bytes | memoryview, ends: bool) -> None:
        """Takes a piece, which *ends* the body or not; called while the engine reads."""
        count = len(data)
        self.received += count
        if self.received > self._max_bytes:
            self.fail(BodyTooLarge("the request body is over maxRequestBodyKB"))
        if self._failure is not None:
            self.handed(count)
            return
        sink = self._sink
        if sink is not None:
            kept = self._kept
            if not kept.is_over:
                kept.add(data)
            sink.push(data, ends)
        elif count:
            hold(self._fresh, data)
            self.held += count
            if self.held > SMALL:
                memory.note(self, self._owner.session, self.held)
        if ends:
            self._end()
        elif sink is not None:
            self.deadline = monotonic() + self._idle_seconds
        if self._waiter is not None:
            self.resume_soon(self._owner.session)

    def take_trailers(self, trailers: Headers) -> None:
        """Takes the trailers, which end the body."""
        self.trailers = trailers
        if self._failure is not None:
            return
        sink = self._sink
        self._end()  # `on_end` may add to the trailers
        if sink is not None:
            sink.finish(trailers)
        self.resume_soon(self._owner.session)

    def fail(self, error: ProxyError) -> None:
        """Ends the body early: the next `read` raises *error*."""
        if self._failure is not None or self.is_complete:
            return
        self._failure = error
        self.is_broken = not error.by_client
        sink, self._sink = self._sink, None
        self._end_once()
        if sink is not None:
            sink.source_failed(error)
        self.resume_soon(self._owner.session)

    @property
    def has_piece(self) -> bool:
        """True if the next `read` will not wait."""
        return bool(self._fresh) or self._kept.has_piece

    @property
    def is_replayable(self) -> bool:
        """True if all that was read is still held, or nothing was read."""
        return self._kept.is_replayable

    def keep_at_most(self, size: int) -> None:
        """Limits what is held to be sent again to *size* bytes, if that is less than before."""
        self._kept.limit(size, self.length)

    def rewind(self, deadline: float = inf) -> None:
        """Starts over with the first piece; the rest must arrive by monotonic second *deadline*."""
        self._kept.rewind()
        self._latest = deadline

    def couple(self, sink: "Outbound") -> None:
        """Sends on *sink* what is held and what comes, without a greenlet; again if it is lost."""
        self.settle()
        pieces = self._kept.take()
        fresh, self._fresh = self._fresh, []
        self._release()
        sink.source = self
        last = self.is_complete and self.trailers is None and self._failure is None
        for piece in fresh:
            self._kept.add(piece)
            pieces.append(piece)
        if not self.is_complete and self._failure is None:
            self._sink = sink
            self.deadline = min(monotonic() + self._idle_seconds, self._latest)
            if self.deadline < self.filed_until:
                wheel.file(self)
        for at, piece in enumerate(pieces, 1):
            sink.push(piece, ends=last and at == len(pieces))
        if self._failure is not None:
            sink.source_failed(self._failure)
        elif self.is_complete and not (last and pieces):
            sink.finish(self.trailers)

    def handed(self, count: int) -> None:
        """Grants the peer *count* bytes again, as they have been handed on."""
        owner = self._owner
        session = owner.session
        if session.engine.consume(owner, count) and not session.is_queued:
            session.touch()

    def sink_lost(self, code: int) -> None:
        """Ends the coupling, as the sink's stream was reset with *code*; what comes is held."""
        self._sink = None
        self._owner.sink_lost(code)

    def read(self, other: Interruption | None = None) -> bytes | None:
        """Returns the next piece, empty at the end; None if *other* has something to read first."""
        if self._kept.has_piece:
            return b"".join(self._kept.take())
        self.settle()
        while not self._fresh:
            if self._failure is not None:
                raise self._failure
            if self.is_complete:
                return b""
            try:
                due = min(monotonic() + self._idle_seconds, self._latest)
                if other is None:
                    self.wait(due)
                elif wait_either(self, other, due):
                    return None
            except StreamTimeout:
                self._time_out()
        piece = b"".join(self._fresh)
        self._owed = self._release()
        self._kept.add(piece)
        if self.received == self.length:
            self._idle_seconds = min(self._idle_seconds, _END_SECONDS)
        return piece

    def __iter__(self) -> Iterator[bytes]:
        """Yields the pieces, as a WSGI server would."""
        while piece := self.read():
            yield piece

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int:
        """Raises TypeError: bytes that share a connection with others cannot be spliced."""
        del pipe, other
        raise TypeError("a body of HTTP/2 is never bulk")

    def await_end(self, most: int, seconds: float) -> bool:
        """Waits until the end, without reading; see `http.body.AwaitedBody`."""
        latest = monotonic() + seconds
        while not self.is_complete and self._failure is None:
            if self.held > most or monotonic() >= latest:
                return False
            try:
                self.wait(latest)
            except StreamTimeout:
                return False
        return True

    def close(self) -> None:
        """Abandons what has not been read; may be called again."""
        self._owed += self._release()
        self.invite = None
        self.settle()
        if self._failure is None and not self.is_complete:
            self._failure = self._faults.closed("the body was abandoned before its end")
            sink, self._sink = self._sink, None
            if sink is not None:
                sink.source = None
            self._end_once()
            self._owner.input_closed()
            self.resume_soon(self._owner.session)

    @property
    def is_readable(self) -> bool:
        """True if the next `read` will not wait."""
        return self.has_piece or self.is_complete or self._failure is not None

    def expire(self) -> None:
        """Ends a wait, or a coupling, that has exceeded its idle timeout. For the hub only."""
        if self._waiter is not None:
            super().expire()
        elif self._sink is not None:
            if self._sink.is_blocked and monotonic() < self._latest:
                self.deadline = monotonic() + self._idle_seconds
                wheel.file(self)
            else:
                self._time_out()

    def settle(self) -> None:
        """Grants the peer what `read` returned last, as it has been handed on; calls `invite`."""
        owed, self._owed = self._owed, 0
        if owed:
            self.handed(owed)
        if self.invite is not None:
            invite, self.invite = self.invite, None
            if not self.received and not self.is_complete:
                invite()

    def _release(self) -> int:
        """Drops what is held, and returns how many bytes that were."""
        self._fresh.clear()
        count, self.held = self.held, 0
        if count > SMALL:
            memory.note(self, self._owner.session, 0)
        return count

    def give_up(self, error: ProxyError) -> None:
        """Drops what has not been read, and ends the body with *error*."""
        self._release()
        self.fail(error)
        self._owner.input_closed()

    def _time_out(self) -> None:
        if self.received == self.length:
            self._owner.session.unended()
        self.give_up(self._faults.timed_out("the next piece of a body did not come in time"))

    def _end(self) -> None:
        self._sink = None
        self.is_complete = True
        self._end_once()

    def _end_once(self) -> None:
        wheel.forget(self)
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(self.is_broken)
