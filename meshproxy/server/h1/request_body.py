"""The body of a client's request: streamed, and kept for a retry while it is small enough."""

from collections.abc import Callable, Iterator
from math import inf

from meshproxy.errors import (
    BadRequest,
    BodyTooLarge,
    ClientGone,
    ExpectationFailed,
    RequestTimedOut,
)
from meshproxy.http.body import Interruption, Splice
from meshproxy.http.framing import request_length
from meshproxy.http.headers import Headers
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.body import Faults
from meshproxy.net.framings import CountedBody, framed_body
from meshproxy.net.pipe import WORTH_BYTES
from meshproxy.net.stream import Stream, StreamTimeout

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FAULTS = Faults(malformed=BadRequest, closed=ClientGone, timed_out=RequestTimedOut)


class ClientBody:
    """Reads from the client only on demand.

    The first read calls *invite* (100 Continue) if nothing has arrived by itself. Raises
    BodyTooLarge, RequestTimedOut, ClientGone or BadRequest, the same again on every later read.
    """

    __slots__ = (
        "_invite",
        "_keep_bytes",
        "_kept",
        "_max_bytes",
        "_position",
        "_size",
        "_wire",
        "is_complete",
    )

    def __init__(
        self,
        stream: Stream,
        length: int,
        buffered: bytes,
        limits: Limits,
        invite: Callable[[], None] | None,
        finish: Callable[[bytes], None],
    ) -> None:
        def ended(complete: bool, rest: bytes) -> None:
            self.is_complete = complete
            if complete:
                finish(rest)

        self._wire = framed_body(
            stream, length, buffered, limits.read_idle, _FAULTS, limits.header_bytes, ended
        )
        self._max_bytes = limits.body_bytes
        self._keep_bytes = limits.replay_bytes
        self._invite = None if buffered else invite
        self._size = 0
        self._position = 0
        self._kept: list[bytes] | None = [] if length <= limits.replay_bytes else None
        self.is_complete = False
        """True once the last byte was read."""

    @property
    def length(self) -> int | None:
        """Length in bytes; None for a chunked body."""
        return self._wire.length

    @property
    def trailers(self) -> Headers | None:
        """Fields after the last chunk."""
        return self._wire.trailers

    @property
    def has_piece(self) -> bool:
        """True if the next `read` will not wait."""
        return bool(self._kept and self._position < len(self._kept)) or self._wire.has_piece

    @property
    def is_replayable(self) -> bool:
        """True if everything read so far is still held, or nothing was read."""
        return self._kept is not None or not self._size

    def keep_at_most(self, size: int) -> None:
        """Limits what is held for a retry to *size* bytes, if that is less than before."""
        self._keep_bytes = min(self._keep_bytes, size)
        if self._size > self._keep_bytes or (self._wire.length or 0) > self._keep_bytes:
            self._kept = None

    def rewind(self, deadline: float = inf) -> None:
        """Starts over with the first piece; the body must be replayable or unread.

        What has not arrived yet must arrive by monotonic second *deadline*.
        """
        self._position = 0
        self._wire.deadline = deadline

    def read(self, other: Interruption | None = None) -> bytes | memoryview | None:
        """Returns the next piece, empty at the end; None if *other* has something to read first."""
        kept = self._kept
        if kept is not None and self._position < len(kept):
            self._position += 1
            return kept[self._position - 1]
        if self._invite is not None:
            self._ask_for_it(self._invite)
        piece = self._wire.read(other)
        if piece:
            self._size += len(piece)
            if self._size > self._max_bytes:
                self._wire.close()
                raise BodyTooLarge("the request body is over maxRequestBodyKB")
            self._keep(piece)
        return piece

    @property
    def is_bulk(self) -> bool:
        """True if nothing of it is held and the rest is long enough to be spliced."""
        return self._kept is None and self._invite is None and self._wire.is_bulk

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int | None:
        """Moves a piece of a bulk body into *pipe*; its length has been checked already."""
        if not isinstance(self._wire, CountedBody):
            raise TypeError("only a body of known length is bulk")
        return self._wire.fill(pipe, other)

    def _ask_for_it(self, invite: Callable[[], None]) -> None:
        self._invite = None
        try:
            invite()
        except (OSError, StreamTimeout) as error:
            self._wire.close()
            raise ClientGone("the client can no longer be asked for its body") from error

    def _keep(self, piece: bytes | memoryview) -> None:
        if self._kept is None:
            return
        if self._size > self._keep_bytes:
            self._kept = None
            return
        self._kept.append(bytes(piece))
        self._position += 1

    def discard_buffered(self) -> None:
        """Skips what has already arrived, so that the connection may go on if that is all."""
        self._wire.skip_buffered()

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yields the pieces, as a WSGI server would."""
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Abandons what the client still sends."""
        self._wire.close()


def body_of(
    request: Request,
    stream: Stream,
    buffered: bytes,
    limits: Limits,
    finish: Callable[[bytes], None],
) -> ClientBody | WholeBody | None:
    """Attaches the body to *request*, if its framing announces one, and handles Expect.

    *finish* is called with the bytes that follow the body, once they are known.

    Raises BadRequest, ExpectationFailed or BodyTooLarge.
    """
    headers = request.headers
    expects = b"expect" in headers.names and _take_expect(request)
    length = request_length(headers, request.version)
    if not length:
        finish(buffered)
        return None
    if request.method == b"CONNECT":
        raise BadRequest("CONNECT has no body")
    if length > limits.body_bytes:
        raise BodyTooLarge("the request body is over maxRequestBodyKB")

    if len(buffered) < length < WORTH_BYTES and not expects:
        buffered += stream.receive_buffered() or b""
    if 0 < length <= len(buffered):
        finish(buffered[length:])
        request.body = held = WholeBody(buffered[:length], limits.replay_bytes)
        return held

    stream.flush(limits.write_timeout)
    invite = _invitation(stream, limits.write_timeout) if expects else None
    body = ClientBody(stream, length, buffered, limits, invite, finish)
    request.body = body
    return body


def _invitation(stream: Stream, timeout: float) -> Callable[[], None]:
    return lambda: stream.send(_CONTINUE, timeout)


def _take_expect(request: Request) -> bool:
    """Returns True if the client waits for 100 Continue, which HTTP/1.0 does not have."""
    values = [value.lower() for value in request.headers.get_all(b"expect")]
    request.headers.remove(b"expect")
    if request.version != b"1.1":
        return False
    if values != [b"100-continue"]:
        raise ExpectationFailed("only `Expect: 100-continue` can be met")
    return True
