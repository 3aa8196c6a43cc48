"""How a response leaves: its body piece by piece, and the close that lets the client read it.

RFC 9112 sections 7 to 9.
"""

import contextlib
from email.utils import formatdate
from time import monotonic, time

from meshproxy.errors import ProxyError
from meshproxy.http.chunked import encode, last_chunk
from meshproxy.http.message import Body
from meshproxy.net.stream import Stream, StreamTimeout

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 262144


def send_body(
    stream: Stream, head: bytes, body: Body, gap: float, chunked: bool, framed: bool
) -> bool:
    """Pass *body* on, with *head* before it; False when it was cut short, and *stream* closed.

    The client can see a cut: a length or a last chunk is missing, or else the connection is reset.
    """
    send = stream.send
    try:
        if not body.has_piece:
            send(head, gap)
            head = b""
        while piece := body.read():
            data = encode(piece) if chunked else piece
            send(head + data if head else data, gap)
            head = b""
    except BaseException as error:
        is_endpoints = isinstance(error, ProxyError) and not error.by_client
        if is_endpoints and (framed or chunked):
            stream.close()
        else:
            stream.reset()
        if is_endpoints:
            return False
        raise
    finally:
        body.close()
    if chunked:
        send(head + last_chunk(body.trailers), gap)
    elif head:
        send(head, gap)
    return True


def linger(stream: Stream) -> None:
    """Half-close and read on for a while, or the client might see a reset instead."""
    deadline = monotonic() + _LINGER_SECONDS
    left = _LINGER_BYTES
    with contextlib.suppress(StreamTimeout, OSError):
        stream.close_for_writing(_LINGER_SECONDS)
        while left > 0 and (data := stream.receive(deadline)):
            left -= len(data)


_date = (0, b"")


def date_line() -> bytes:
    """The Date field, made once a second."""
    global _date  # noqa: PLW0603 - one immutable pair, replaced as a whole
    second = int(time())
    if _date[0] != second:
        _date = (second, b"Date: " + formatdate(second, usegmt=True).encode())
    return _date[1]
