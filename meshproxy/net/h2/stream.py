"""One stream of a session: the bodies that come and go on it, and how it ends."""

from typing import TYPE_CHECKING

from meshproxy.errors import ProxyError
from meshproxy.h2.encoder import Encodable
from meshproxy.h2.stream import H2Stream
from meshproxy.http.headers import Headers
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.outbound import Outbound

if TYPE_CHECKING:
    from meshproxy.net.h2.session import H2Session


class SessionStream(H2Stream):
    """A stream of `session`; servers and clients each have a kind of their own.

    A kind sets the attributes itself, which saves a call for each stream.
    """

    __slots__ = ("_outbound", "failure", "inbound", "session")

    session: "H2Session"
    inbound: Inbound | None
    """The body that comes on it, if one does; None at first."""
    _outbound: Outbound | None
    failure: ProxyError | None
    """What ended the stream, if neither side's message did; None at first."""

    @property
    def outbound(self) -> Outbound:
        """The body that goes out on it; made when first asked for."""
        if self._outbound is None:
            self._outbound = Outbound(self)
        return self._outbound

    def data_received(self, data: bytes | memoryview, ends: bool) -> None:
        """Hands a piece to the body that comes; without one it is dropped."""
        if self.inbound is not None:
            self.inbound.take_piece(data, ends)
        else:
            self.session.engine.consume(self, len(data))

    def trailers_received(self, trailers: Headers) -> None:
        """Ends the body that comes."""
        if self.inbound is not None:
            self.inbound.take_trailers(trailers.copy())

    def reset_received(self, code: int) -> None:
        """Ends a stream that the peer has reset."""
        self.lost(code, self.session.error_of_reset(code))

    def failed(self, code: int, why: str) -> None:
        """Ends a stream on which the peer made a mistake."""
        self.lost(code, self.session.error_of_fault(why))

    def window_opened(self) -> None:
        """Goes on sending after the peer has enlarged the stream's window."""
        if self._outbound is not None:
            self._outbound.window_opened()

    def send_whole(
        self,
        fields: tuple[Encodable, ...],
        never_indexed: frozenset[bytes],
        data: bytes,
        trailers: Headers | None,
        names: tuple[bytes, ...] = (),
    ) -> bool:
        """Sends a head, a body and its end: at once if it may be sent, else as its peer allows.

        Returns True if all of it has been sent; else `output_ended` is called once it is. See
        `Encoder.encode` for *fields*, *never_indexed* and *names*.
        """
        session = self.session
        engine = session.engine
        if len(data) < session.room and engine.send_whole(
            self, fields, data, trailers, never_indexed, names
        ):
            if not session.is_queued:
                session.touch()
            return True
        engine.send_fields(self, fields, False, never_indexed, names)
        session.touch()
        self.outbound.push(data, ends=trailers is None)
        if trailers is not None:
            self.outbound.finish(trailers)
        return False

    def reset(self, code: int, error: ProxyError) -> None:
        """Resets the stream, unless it is closed, for *error*; see `lost`."""
        if self.can_send or self.can_receive:
            self.session.engine.reset(self, code)
            self.session.touch()
        self.lost(code, error)

    def abandon(self, code: int, error: ProxyError) -> None:
        """As `reset`; what has come of a body is forgotten, as nobody reads it any more."""
        self.reset(code, error)
        if self.inbound is not None:
            self.inbound.close()

    def lost(self, code: int, error: ProxyError) -> None:
        """Ends what goes on here since the stream was reset with *code*; harmless if repeated."""
        if self.failure is not None:
            return
        self.failure = error
        if self.inbound is not None:
            self.inbound.fail(error)
        if self._outbound is not None:
            self._outbound.abandon(code)

    def let_go(self) -> None:
        """Breaks the references in a circle once the stream is closed.

        So its memory is freed at once; the garbage collector took a tenth of the time of a request.
        """
        if not self.can_send and not self.can_receive:
            self.inbound = self._outbound = None

    def output_ended(self) -> None:
        """Called when the last of what goes out has been handed to the engine."""

    def stalled(self) -> None:
        """Called when the peer has taken nothing for the write timeout."""
        raise NotImplementedError

    def sink_lost(self, code: int) -> None:
        """Called when the stream that the body was coupled to was reset with *code*."""
        raise NotImplementedError

    def source_failed(self, error: ProxyError) -> None:
        """Called when the body that is coupled to this stream was cut short by *error*."""
        raise NotImplementedError

    def input_closed(self) -> None:
        """Called when the rest of a body that is still arriving is not needed."""
        raise NotImplementedError
