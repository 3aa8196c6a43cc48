"""Reads from a connection up to the body of the final response (RFC 9112 section 4).

The client of the request is told of informational responses (RFC 9110 section 15.2).
"""

from meshproxy.client.failures import no_answer
from meshproxy.client.h1.early import MAX_INTERIM, EarlyAnswer
from meshproxy.errors import BadResponse, ConnectionClosed, NoResponse
from meshproxy.http.framing import announces_body
from meshproxy.http.head import CRLF, FIRST_READ, HEAD_END, is_hopeless, parse_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream


def final_head(
    stream: Stream, limits: Limits, deadline: float, request: Request, early: EarlyAnswer | None
) -> tuple[Response, bytes, bool]:
    """Returns the response without its body, the bytes after it, and if it is sound.

    It is not if an informational response announced a body, which may yet arrive: the connection
    must then not be reused. *early* has what was read while sending. All must arrive by monotonic
    second *deadline*. Raises NoResponse, ConnectionClosed, BadResponse, StreamTimeout or OSError.
    """
    passed, is_sound = 0, True
    if early is None or not (early.data or early.count):
        data = _first_bytes(stream, deadline)
    else:
        data = early.data or _more_bytes(stream, deadline)
        passed, is_sound = early.count, early.is_sound
    while passed <= MAX_INTERIM:
        end = data.find(HEAD_END)
        if end < 0:
            data = _whole_head(stream, data, limits, deadline)
            end = data.find(HEAD_END)
        head, rest = data[:end], data[end + 4 :]
        if end > limits.first_line or end > limits.header_bytes:
            _check_size(head, limits)
        version, status, reason, headers = parse_response(head)
        if len(headers.names) > limits.header_count:
            raise BadResponse(f"more than {limits.header_count} header fields")
        if status >= 200:
            return Response(status, reason, headers, b"", version), rest, is_sound
        if status == 101:
            if b"upgrade" not in request.headers.names:
                raise BadResponse("101 without a request to switch protocols")
            return Response(status, reason, headers, b"", version), rest, is_sound
        passed += 1
        is_sound = is_sound and not announces_body(headers)
        request.inform(status, headers)
        data = rest or _more_bytes(stream, deadline)
    raise BadResponse("too many informational responses")


def _first_bytes(stream: Stream, deadline: float) -> bytes:
    """Returns the first bytes of a response head. Raises NoResponse or TlsFailed.

    Bytes that arrive while the request is still queued cannot be its response: they raise
    NoResponse with `nothing_sent`.
    """
    try:
        data = stream.receive(deadline, FIRST_READ)
    except OSError as error:
        raise no_answer(error, "before a response", nothing_sent=stream.cancel()) from error
    if not data or stream.queued:
        failure = NoResponse(
            "unsolicited data from the endpoint"
            if data
            else "the endpoint closed the connection before a response"
        )
        failure.nothing_sent = stream.cancel()
        raise failure
    return data


def _more_bytes(stream: Stream, deadline: float) -> bytes:
    """Returns further bytes of a response. Raises ConnectionClosed at the end of input."""
    data = stream.receive(deadline)
    if not data:
        raise ConnectionClosed("the endpoint closed the connection within a response head")
    return data


def _whole_head(stream: Stream, data: bytes, limits: Limits, deadline: float) -> bytes:
    """Returns *data* and what is read after it, until it holds the end of a head."""
    while HEAD_END not in data:
        _check_size(data.rstrip(CRLF), limits)
        if is_hopeless(data) or not b"HTTP/1.".startswith(data[:7]):
            raise BadResponse("the endpoint does not speak HTTP/1.x")
        data += _more_bytes(stream, deadline)
    return data


def _check_size(head: bytes, limits: Limits) -> None:
    first = head.find(CRLF)
    line = len(head) if first < 0 else first
    if line > limits.first_line or len(head) - line - len(CRLF) > limits.header_bytes:
        raise BadResponse("the response head is over maxInitialLineKB or maxHeadersKB")
