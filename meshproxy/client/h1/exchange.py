"""One request out and one response in on a connection; the client's edge for errors.

RFC 9112 sections 6, 7 and 9. Whatever urllib3, ssl or the socket raise becomes an error of ours
here and nowhere else; nothing left over on a connection is ever given to another request.
"""

from collections.abc import Callable
from time import monotonic

from meshproxy.client.h1.connection import PlainConnection, TlsConnection
from meshproxy.client.h1.early import EarlyAnswer
from meshproxy.client.h1.response_head import final_head
from meshproxy.client.transport import Ended
from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut, Silent
from meshproxy.http.chunked import decode_whole, encode, last_chunk
from meshproxy.http.framing import CHUNKED, announces_body, response_length
from meshproxy.http.head import CRLF, FIRST_READ
from meshproxy.http.hop import take_close
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, RequestBody, Response
from meshproxy.net.body import Faults, StreamBody
from meshproxy.net.pipe import WORTH_BYTES, Pipe
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.tunnel import Tunnel
from meshproxy.net.turn import Unsent

Connection = PlainConnection | TlsConnection
Release = Callable[[Connection, bool], None]
"""Takes a connection back; whether it may be used again."""

_BULKY = FIRST_READ - 2048
"""A shorter body that came with a head of at most 2 KiB came by a read that left nothing unread. If
something was left after all, the pool sees it before it uses the connection again."""
_BODILESS = frozenset({101, 204, 304})
_FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)


def converse(
    connection: Connection,
    request: Request,
    limits: Limits,
    deadline: float,
    release: Release,
    ended: Ended,
) -> Response:
    """Send *request* and read the response up to its body, by monotonic second *deadline*.

    Raises ServiceTimedOut, BadResponse, Silent or ConnectionClosed, or what reading the client's
    body raises; the connection is then closed.
    """
    stream = connection.stream
    if stream is None:
        raise ConnectionClosed("the connection is not open")
    try:
        early = EarlyAnswer() if request.body is not None else None
        sent_all = _send(stream, request, limits, deadline, early)
        patience = monotonic() + limits.first_byte
        if patience < deadline:  # noqa: PLR1730 - 0.1 us less than a call of min
            deadline = patience
        try:
            response, rest, is_sound = final_head(stream, limits, deadline, request, early)
        except Unsent as unsent:
            send_rest = _send_piece if unsent.begun else _send_first
            sent_all = send_rest(stream, unsent.rest, limits, deadline, early)
            response, rest, is_sound = final_head(stream, limits, deadline, request, early)
        length, reusable = _framing(request, response)
    except StreamTimeout:
        connection.close()
        raise ServiceTimedOut("exceeded the time for a response") from None
    except OSError as error:
        connection.close()
        raise ConnectionClosed(f"connection lost: {error.strerror or error}") from error
    except BaseException:
        connection.close()
        raise
    reusable = reusable and sent_all and is_sound
    if response.status == 101:
        response.body = tunnel(connection, rest, release, ended)
        return response
    whole = _whole_body(length, rest, limits)
    if whole is None and CHUNKED <= length < WORTH_BYTES and (more := stream.receive_at_hand()):
        rest += more
        whole = _whole_body(length, rest, limits)
    if whole is None:
        response.body = _streamed(connection, length, rest, limits, reusable, release, ended)
        return response
    response.body, following = whole
    response.in_chunks = length == CHUNKED
    drained = not following and (len(rest) < _BULKY or stream.receive_at_hand() is None)
    release(connection, reusable and drained)
    return response


def _whole_body(length: int, at_hand: bytes, limits: Limits) -> tuple[bytes, bytes] | None:
    """A body of *length*, or CHUNKED, that came with its head, and what followed it; or None."""
    if length == len(at_hand):
        return at_hand, b""
    if 0 <= length < len(at_hand):
        return at_hand[:length], at_hand[length:]
    return decode_whole(at_hand, BadResponse, limits.header_bytes) if length == CHUNKED else None


def _streamed(
    connection: Connection,
    length: int,
    at_hand: bytes,
    limits: Limits,
    reusable: bool,
    release: Release,
    ended: Ended,
) -> StreamBody:
    """A body that is still to come, and gives *connection* back at its end."""
    stream = _open(connection)

    def finish(complete: bool, rest: bytes) -> None:
        drained = complete and not rest and stream.receive_at_hand() is None
        release(connection, reusable and drained)
        ended(body.is_broken)

    body = StreamBody(
        stream, length, at_hand, limits.response_gap, _FAULTS, limits.header_bytes, finish
    )
    return body


def tunnel(connection: Connection, at_hand: bytes, release: Release, ended: Ended) -> Tunnel:
    """What is left of an exchange once *connection* speaks another protocol."""
    stream = _open(connection)

    def finish() -> None:
        release(connection, False)
        ended(False)

    return Tunnel(stream, at_hand, finish)


def _open(connection: Connection) -> Stream:
    if connection.stream is None:
        raise ConnectionClosed("the connection is not open")
    return connection.stream


def _framing(request: Request, response: Response) -> tuple[int, bool]:
    """The length of the body, and whether the connection may be used again after it."""
    headers = response.headers
    names = headers.names
    reusable = response.version == b"1.1" and not take_close(headers)
    if b"transfer-encoding" in names and b"content-length" in names:
        reusable = False
    if request.method == b"HEAD" or response.status in _BODILESS:
        announced = announces_body(headers)
        if response.status in {101, 204} or b"transfer-encoding" in names:
            headers.remove(b"content-length")
        return 0, reusable and not announced
    return response_length(headers), reusable


def _send(
    stream: Stream,
    request: Request,
    limits: Limits,
    deadline: float,
    early: EarlyAnswer | None,
) -> bool:
    """Send head and body; False when the response came, or the connection broke, before the end."""
    body = request.body
    fields = CRLF.join(request.headers.lines)
    data = b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, fields)
    if body is None:
        data += CRLF
        return stream.post(data) or _send_first(stream, data, limits, deadline, early)
    body.rewind(deadline)
    chunked = body.length is None
    data += b"Transfer-Encoding: chunked\r\n\r\n" if chunked else CRLF
    if body.has_piece:
        piece = body.read() or b""
        data += encode(piece) if chunked and piece else piece
    if body.is_complete and not body.has_piece and not chunked:
        return stream.post(data) or _send_first(stream, data, limits, deadline, early)
    return _send_first(stream, data, limits, deadline, early) and _send_rest(
        stream, body, limits, deadline, early, chunked
    )


def _send_first(
    stream: Stream, data: bytes, limits: Limits, deadline: float, early: EarlyAnswer | None
) -> bool:
    """Send what begins a request. Raises Silent, untouched, when none of it is taken."""
    try:
        sent = stream.send_some(data)
    except OSError as error:
        silent = Silent(f"connection lost while sending: {error.strerror or error}")
        silent.untouched = True
        raise silent from error
    rest = memoryview(data)[sent:]
    return not rest or _send_piece(stream, rest, limits, deadline, early)


def _send_rest(
    stream: Stream,
    body: RequestBody,
    limits: Limits,
    deadline: float,
    early: EarlyAnswer | None,
    chunked: bool,
) -> bool:
    pipe = Pipe.take() if body.is_bulk and stream.is_plain else None
    if pipe is not None:
        with pipe:
            return _splice_rest(stream, body, pipe, limits, deadline, early)
    while True:
        piece = body.read(stream)
        if piece is None:
            if early is None or early.has_begun(stream):
                return False
            continue
        if not piece:
            break
        if not _send_piece(stream, encode(piece) if chunked else piece, limits, deadline, early):
            return False
    if chunked:
        return _send_piece(stream, last_chunk(body.trailers), limits, deadline, early)
    return True


def _splice_rest(
    stream: Stream,
    body: RequestBody,
    pipe: Pipe,
    limits: Limits,
    deadline: float,
    early: EarlyAnswer | None,
) -> bool:
    """Send what is left of *body* inside the kernel; the rules are those of `_send_piece`."""
    while True:
        filled = body.fill(pipe, stream)
        if filled is None:
            if early is None or early.has_begun(stream):
                return False
            continue
        if not filled:
            return True
        if monotonic() >= deadline:
            raise StreamTimeout
        while True:
            try:
                if stream.drain(pipe):
                    break
            except OSError:
                return False
            stream.wait_writable(min(monotonic() + limits.write_gap, deadline), or_readable=True)
            if stream.is_readable and (early is None or early.has_begun(stream)):
                return False


def _send_piece(
    stream: Stream,
    data: bytes | memoryview,
    limits: Limits,
    deadline: float,
    early: EarlyAnswer | None,
) -> bool:
    """Send all of *data*, unless the endpoint breaks off, or begins its response.

    In both cases there may be an answer. Raises StreamTimeout, however busy the endpoint is.
    """
    if monotonic() >= deadline:
        raise StreamTimeout
    rest = memoryview(data)
    while True:
        try:
            rest = rest[stream.send_some(rest) :]
        except OSError:
            return False
        if not rest:
            return True
        stream.wait_writable(min(monotonic() + limits.write_gap, deadline), or_readable=True)
        if stream.is_readable and (early is None or early.has_begun(stream)):
            return False
