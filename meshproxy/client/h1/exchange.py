"""One request and its response on a connection.

RFC 9112 sections 6, 7 and 9. Bytes left over on a connection never reach another request.
"""

from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.connector import opened, tunnel
from meshproxy.client.failures import cut, no_answer
from meshproxy.client.h1.early import EarlyAnswer
from meshproxy.client.h1.response_head import final_head
from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut
from meshproxy.http.body import RequestBody
from meshproxy.http.chunked import decode_whole, encode, last_chunk
from meshproxy.http.ending import Ending
from meshproxy.http.framing import BODILESS, CHUNKED, announces_body, response_length
from meshproxy.http.head import CRLF, FIRST_READ, HEAD_END
from meshproxy.http.hop import take_close
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.body import Faults, StreamBody
from meshproxy.net.framings import framed_body
from meshproxy.net.pipe import WORTH_BYTES, Pipe
from meshproxy.net.stream import StreamTimeout
from meshproxy.net.tunnel import Tunnel
from meshproxy.net.turn import Unsent

Connection = PlainConnection | TlsConnection
Release = Callable[[Connection, bool], None]
"""Returns a connection to its pool; the flag says if it may be reused."""

_BULKY = FIRST_READ - 2048
"""Below this length, one read took head (up to 2 KiB) and body, so the socket is empty. For longer
heads the pool checks before it reuses the connection."""
_FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)


class Exchange:
    """Sends requests on an open *connection*, one after the other, and reads their responses.

    *release* gets the connection back when nothing more is expected on it. It is made once for each
    connection, as making one for each request costs instructions (docs/performance.md).
    """

    __slots__ = ("_connection", "_deadline", "_early", "_limits", "_release", "_stream")

    def __init__(self, connection: Connection, limits: Limits, release: Release) -> None:
        self._connection = connection
        self._stream = opened(connection)
        self._limits = limits
        self._release = release
        self._deadline = inf
        """Monotonic second by which the present response must have begun."""
        self._early: EarlyAnswer | None = None
        """What the endpoint sent before it had the whole request; None without a body."""

    def run(self, request: Request, deadline: float) -> Response:
        """Sends *request* by monotonic second *deadline* and returns the response.

        The body of the response may still be arriving. Raises ServiceTimedOut, BadResponse,
        NoResponse, ConnectionClosed or TlsFailed, or what reading the client's body raises; the
        connection is then closed.
        """
        connection, stream, limits = self._connection, self._stream, self._limits
        self._deadline = deadline
        self._early = early = EarlyAnswer(request) if request.body is not None else None
        try:
            sent_all = self._send(request)
            latest = monotonic() + limits.first_byte
            if latest < deadline:
                self._deadline = deadline = latest
            try:
                response, rest, is_sound = final_head(stream, limits, deadline, request, early)
            except Unsent as unsent:
                send_rest = self._send_piece if unsent.begun else self._send_first
                sent_all = send_rest(unsent.rest)
                response, rest, is_sound = final_head(stream, limits, deadline, request, early)
            length, reusable = _framing(request, response)
        except StreamTimeout:
            connection.close()
            raise ServiceTimedOut("timed out waiting for a response") from None
        except OSError as error:
            connection.close()
            raise cut(error) from error
        except BaseException:
            connection.close()
            raise
        reusable = reusable and sent_all and is_sound
        if response.status == 101:
            response.body, response.ending = self._switched(rest, sent_all)
            return response
        whole = _whole_body(length, rest, limits)
        if whole is None and CHUNKED <= length < WORTH_BYTES:
            rest += stream.receive_buffered() or b""
            whole = _whole_body(length, rest, limits)
        if whole is None:
            response.body = self._streamed(response, length, rest, reusable)
            return response
        response.body, following = whole
        response.in_chunks = length == CHUNKED
        drained = not following and (len(rest) < _BULKY or stream.receive_buffered() is None)
        self._release(connection, reusable and drained)
        return response

    def _switched(self, buffered: bytes, sent_all: bool) -> tuple[Tunnel, Ending]:
        """Returns the tunnel that a 101 opens; the request must have been sent completely."""
        if not sent_all:
            self._connection.close()
            raise BadResponse("101 before the end of the request")
        release = partial(self._release, self._connection, False)
        return tunnel(self._stream, buffered, release)

    def _streamed(
        self, response: Response, length: int, buffered: bytes, reusable: bool
    ) -> StreamBody:
        """Returns a body that is still arriving, and gives the connection back at its end."""
        stream, connection, release = self._stream, self._connection, self._release
        response.ending = ending = Ending()

        def finish(complete: bool, rest: bytes) -> None:
            drained = complete and not rest and stream.receive_buffered() is None
            release(connection, reusable and drained)
            ending.come(body.is_broken)

        limits = self._limits
        body = framed_body(
            stream, length, buffered, limits.response_idle, _FAULTS, limits.header_bytes, finish
        )
        return body

    def _send(self, request: Request) -> bool:
        """Sends head and body.

        Returns False if the response came, or the connection broke, before the end.
        """
        body, chunked = request.body, False
        if body is not None:
            body.rewind(self._deadline)
            chunked = body.length is None
        end = b"\r\nTransfer-Encoding: chunked\r\n\r\n" if chunked else HEAD_END
        fields = CRLF.join(request.headers.lines)
        data = b"".join((request.method, b" ", request.target, b" HTTP/1.1\r\n", fields, end))
        if body is None:
            return self._stream.enqueue(data) or self._send_first(data)
        if body.has_piece:
            piece = body.read() or b""
            data += encode(piece) if chunked and piece else piece
        if body.is_complete and not body.has_piece and not chunked:
            return self._stream.enqueue(data) or self._send_first(data)
        return self._send_first(data) and self._send_rest(body, chunked)

    def _send_first(self, data: bytes) -> bool:
        """Sends the start of a request. Raises NoResponse or TlsFailed if none was accepted."""
        try:
            sent = self._stream.send_some(data)
        except OSError as error:
            raise no_answer(error, "while sending", nothing_sent=True) from error
        return sent == len(data) or self._send_piece(memoryview(data)[sent:])

    def _send_rest(self, body: RequestBody, chunked: bool) -> bool:
        pipe = Pipe.take() if body.is_bulk and self._stream.is_plain else None
        if pipe is not None:
            with pipe:
                return self._splice_rest(body, pipe)
        while True:
            piece = body.read(self._stream)
            if piece is None:
                if self._has_answer():
                    return False
                continue
            if not piece:
                break
            if not self._send_piece(encode(piece) if chunked else piece):
                return False
        return self._send_piece(last_chunk(body.trailers)) if chunked else True

    def _splice_rest(self, body: RequestBody, pipe: Pipe) -> bool:
        """Splices what is left of *body*; otherwise like `_send_piece`."""
        stream = self._stream
        while True:
            filled = body.fill(pipe, stream)
            if filled is None:
                if self._has_answer():
                    return False
                continue
            if not filled:
                return True
            if monotonic() >= self._deadline:
                raise StreamTimeout
            while True:
                try:
                    if stream.drain(pipe):
                        break
                except OSError:
                    return False
                if self._is_answered_while_full():
                    return False

    def _send_piece(self, data: bytes | memoryview) -> bool:
        """Sends all of *data*, unless the connection breaks or the response begins.

        In both cases there may be a response to read. Raises StreamTimeout at the deadline.
        """
        if monotonic() >= self._deadline:
            raise StreamTimeout
        rest = memoryview(data)
        while True:
            try:
                rest = rest[self._stream.send_some(rest) :]
            except OSError:
                return False
            if not rest:
                return True
            if self._is_answered_while_full():
                return False

    def _is_answered_while_full(self) -> bool:
        """Waits until more can be sent. Returns True if a response began first."""
        latest = min(monotonic() + self._limits.write_timeout, self._deadline)
        self._stream.wait_writable(latest, or_readable=True)
        return self._stream.is_readable and self._has_answer()

    def _has_answer(self) -> bool:
        """Returns True if a final response, or the end, can be read."""
        return self._early is None or self._early.has_begun(self._stream)


def _whole_body(length: int, buffered: bytes, limits: Limits) -> tuple[bytes, bytes] | None:
    """Returns a body that is complete in *buffered*, and what follows it; None otherwise."""
    if length == len(buffered):
        return buffered, b""
    if 0 <= length < len(buffered):
        return buffered[:length], buffered[length:]
    return decode_whole(buffered, BadResponse, limits.header_bytes) if length == CHUNKED else None


def _framing(request: Request, response: Response) -> tuple[int, bool]:
    """Returns the length of the body, and True if the connection may be reused after it."""
    headers = response.headers
    names = headers.names
    reusable = response.version == b"1.1" and not take_close(headers)
    if b"transfer-encoding" in names and b"content-length" in names:
        reusable = False
    if request.method == b"HEAD" or response.status in BODILESS:
        announced = announces_body(headers)
        if response.status in {101, 204} or b"transfer-encoding" in names:
            headers.remove(b"content-length")
        return 0, reusable and not announced
    return response_length(headers), reusable
