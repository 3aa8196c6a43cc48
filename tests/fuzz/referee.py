"""One whole message read twice: by the parts of meshproxy, and by h11 as a referee."""

from dataclasses import dataclass

import h11

from meshproxy.client.h1.exchange import _framing
from meshproxy.errors import BadRequest, BadResponse, ProxyError
from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.framing import CHUNKED, UNTIL_CLOSE, request_length
from meshproxy.http.head import HEAD_END, parse_request, parse_response
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.http.target import origin_form

FRAMING = {b"content-length", b"transfer-encoding"}
"""Fields that both rewrite; the body tells whether they agree on them."""
TRAILERS = 8192
HUGE = 1 << 24
Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """What a parser made of the bytes; *start* is the request or status line, taken apart."""

    start: tuple[object, ...]
    fields: Fields
    body: bytes
    rest: bytes


def our_request(raw: bytes) -> tuple[Message, Request] | None:
    """Read a request, None if it is not complete. Raises ProxyError for what is refused."""
    head, end, rest = raw.partition(HEAD_END)
    if not end:
        return None
    method, target, version, headers = parse_request(head)
    fields = list(headers.items())
    request = Request(method, origin_form(method, target, version, headers), version, headers)
    body = _our_body(rest, request_length(headers, version), BadRequest)
    return None if body is None else (Message((method, target), fields, *body), request)


def our_response(raw: bytes, method: bytes, *, ended: bool) -> tuple[Message, Response] | None:
    """Read the final response to *method*, or a 101; as `our_request`."""
    while True:
        head, end, raw = raw.partition(HEAD_END)
        if not end:
            return None
        version, status, reason, headers = parse_response(head)
        if status >= 200 or status == 101:
            break
    fields = list(headers.items())
    response = Response(status, reason, headers, version=version)
    length, _ = _framing(Request(method, b"/", b"1.1", Headers()), response)
    if length == UNTIL_CLOSE:
        body: tuple[bytes, bytes] | None = (raw, b"") if ended else None
    else:
        body = _our_body(raw, length, BadResponse)
    return None if body is None else (Message((status, reason), fields, *body), response)


def _our_body(rest: bytes, length: int, refused: type[ProxyError]) -> tuple[bytes, bytes] | None:
    if length != CHUNKED:
        return (rest[:length], rest[length:]) if len(rest) >= length else None
    decoder = ChunkedDecoder(refused, TRAILERS)
    body = b"".join(decoder.feed(rest))
    return (body, decoder.rest) if decoder.done else None


def their_request(raw: bytes) -> Message:
    """Read a complete request with h11. Raises its RemoteProtocolError."""
    return _their_message(h11.Connection(h11.SERVER, max_incomplete_event_size=HUGE), raw)


def their_response(raw: bytes, method: bytes, *, ended: bool) -> Message:
    """Read a complete response to *method* with h11. Raises its RemoteProtocolError."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HUGE)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    return _their_message(connection, raw, ended=ended)


def _their_message(connection: h11.Connection, raw: bytes, *, ended: bool = False) -> Message:
    connection.receive_data(raw)
    if ended:
        connection.receive_data(b"")
    head: h11.Request | h11.Response | None = None
    body = bytearray()
    while True:
        match event := connection.next_event():
            case h11.Request() | h11.Response():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                break
            case h11.InformationalResponse():
                pass
            case _:
                raise AssertionError(f"h11 does not see the end of it: {event}")
    assert head is not None
    start = (
        (head.method, head.target)
        if isinstance(head, h11.Request)
        else (head.status_code, head.reason)
    )
    return Message(start, list(head.headers), bytes(body), connection.trailing_data[0])
