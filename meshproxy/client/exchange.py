"""One request out and one response in on a connection; the client's edge for errors.

RFC 9112 sections 6, 7 and 9. Whatever urllib3, ssl or the socket raise becomes an error of ours
here and nowhere else; nothing left over on a connection is ever given to another request.
"""

from collections.abc import Callable
from time import monotonic

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.early import MAX_INTERIM, EarlyAnswer
from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut
from meshproxy.http.chunked import encode, last_chunk
from meshproxy.http.framing import content_length, response_length
from meshproxy.http.head import CRLF, HEAD_END, is_hopeless, parse_response
from meshproxy.http.headers import Headers
from meshproxy.http.hop import says_close
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, RequestBody, Response
from meshproxy.net.body import Faults, StreamBody
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.tunnel import Tunnel

Connection = PlainConnection | TlsConnection
Release = Callable[[Connection, bool], None]
"""Takes a connection back; whether it may be used again."""
Ended = Callable[[bool], None]
"""Told that a streamed response body ended; whether the endpoint broke it off."""

_BULKY = 32768
"""A shorter body that came with its head came by a read that left nothing unread."""
_BODILESS = frozenset({101, 204, 304})
_FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)


class Silent(ConnectionClosed):
    """The connection closed before one byte of a response; `untouched` if nothing was sent."""

    untouched = False


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
        response, rest = _final_head(stream, limits, deadline, request, early)
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
    reusable = reusable and sent_all
    if response.status == 101:
        response.body = tunnel(connection, rest, release, ended)
        return response
    if 0 <= length <= len(rest):
        drained = length < _BULKY or stream.receive_at_hand() is None
        release(connection, reusable and len(rest) == length and drained)
        response.body = rest[:length]
        return response

    def finish(complete: bool, rest: bytes) -> None:
        drained = complete and not rest and stream.receive_at_hand() is None
        release(connection, reusable and drained)
        ended(body.is_broken)

    response.body = body = StreamBody(
        stream, length, rest, limits.response_gap, _FAULTS, limits.header_bytes, finish
    )
    return response


def tunnel(connection: Connection, at_hand: bytes, release: Release, ended: Ended) -> Tunnel:
    """What is left of an exchange once *connection* speaks another protocol."""
    if connection.stream is None:
        raise ConnectionClosed("the connection is not open")

    def finish() -> None:
        release(connection, False)
        ended(False)

    return Tunnel(connection.stream, at_hand, finish)


def _final_head(
    stream: Stream, limits: Limits, deadline: float, request: Request, early: EarlyAnswer | None
) -> tuple[Response, bytes]:
    """The response without its body, informational ones passed over, and what follows it."""
    passed = 0
    if early is None or not (early.data or early.count):
        data = _first_bytes(stream, deadline)
    else:
        data, passed = early.data or _more_bytes(stream, deadline), early.count
    for _ in range(passed, MAX_INTERIM + 1):
        head, rest = _split_head(stream, data, limits, deadline)
        version, status, reason, headers = parse_response(head)
        if len(headers.names) > limits.header_count:
            raise BadResponse(f"more than {limits.header_count} header fields")
        if status >= 200:
            return Response(status, reason, headers, b"", version), rest
        if status == 101:
            if b"upgrade" not in request.headers.names:
                raise BadResponse("101 without a request to switch protocols")
            return Response(status, reason, headers, b"", version), rest
        data = rest or _more_bytes(stream, deadline)
    raise BadResponse("too many informational responses")


def _framing(request: Request, response: Response) -> tuple[int, bool]:
    """The length of the body, and whether the connection may be used again after it."""
    headers = response.headers
    names = headers.names
    reusable = response.version == b"1.1" and not says_close(headers)
    reusable = reusable and not (b"transfer-encoding" in names and b"content-length" in names)
    if request.method == b"HEAD" or response.status in _BODILESS:
        return _no_body(response.status, headers), reusable
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
    lines = request.headers.lines
    start = b"%b %b HTTP/1.1\r\n" % (request.method, request.target)
    if body is None:
        return _send_first(stream, start + CRLF.join(lines) + HEAD_END, limits, deadline, early)
    body.rewind(deadline)
    chunked = body.length is None
    framing = b"\r\nTransfer-Encoding: chunked" if chunked else b""
    data = start + CRLF.join(lines) + framing + HEAD_END
    if body.has_piece:
        piece = body.read() or b""
        data += encode(piece) if chunked and piece else piece
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


def _first_bytes(stream: Stream, deadline: float) -> bytes:
    """The first bytes of a response head. Raises Silent when there are none."""
    try:
        data = stream.receive(deadline)
    except OSError as error:
        raise Silent(f"connection lost before a response: {error.strerror or error}") from error
    if not data:
        raise Silent("the endpoint closed the connection before a response")
    return data


def _more_bytes(stream: Stream, deadline: float) -> bytes:
    """Further bytes of a response that has begun. Raises ConnectionClosed at the end of input."""
    data = stream.receive(deadline)
    if not data:
        raise ConnectionClosed("the endpoint closed the connection within a response head")
    return data


def _split_head(
    stream: Stream, data: bytes, limits: Limits, deadline: float
) -> tuple[bytes, bytes]:
    """The head that *data* begins with, read to its end, and what follows it."""
    end = data.find(HEAD_END)
    while end < 0:
        _check_size(data.rstrip(CRLF), limits)
        if is_hopeless(data) or not b"HTTP/1.".startswith(data[:7]):
            raise BadResponse("the endpoint does not speak HTTP/1.x")
        data += _more_bytes(stream, deadline)
        end = data.find(HEAD_END)
    if end > limits.first_line or end > limits.header_bytes:
        _check_size(data[:end], limits)
    return data[:end], data[end + 4 :]


def _check_size(head: bytes, limits: Limits) -> None:
    first = head.find(CRLF)
    line = len(head) if first < 0 else first
    if line > limits.first_line or len(head) - line - len(CRLF) > limits.header_bytes:
        raise BadResponse("the response head is over maxInitialLineKB or maxHeadersKB")


def _no_body(status: int, headers: Headers) -> int:
    """Check the framing of a response that has no body whatever it says; always 0."""
    if b"content-length" in headers.names:
        content_length(headers, BadResponse)
    if status in {101, 204} or b"transfer-encoding" in headers.names:
        headers.remove(b"content-length")
    return 0
