"""Writes responses: the body piece by piece, and a close that lets the client read it.

RFC 9112 sections 7 to 9.
"""

import contextlib
import re
from functools import lru_cache
from time import monotonic

from meshproxy.errors import ProxyError
from meshproxy.http.body import Body
from meshproxy.http.chunked import encode, last_chunk
from meshproxy.http.message import Response
from meshproxy.net.framings import CountedBody
from meshproxy.net.pipe import Pipe
from meshproxy.net.stream import Stream, StreamTimeout

_UNPRINTABLE = re.compile(rb"[^ -~]")
_REASON_BYTES = 200
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 262144
_COLLECTED = 65536
"""Bytes of buffered chunks that are collected before they are sent."""


def frame(response: Response, version: bytes) -> bool | None:
    """Adds the framing of the body to the head of *response*, for a client of *version*.

    Returns True for chunks, False for a length, None if the end of the connection ends the body.
    """
    body = response.body
    if isinstance(body, bytes) and not response.in_chunks:
        response.headers.lines.append(b"Content-Length: %d" % len(body))
        return False
    if version == b"1.1":
        response.headers.lines.append(b"Transfer-Encoding: chunked")
        return True
    return None


@lru_cache(256)
def status_line(status: int, reason: bytes) -> bytes:
    """Returns the first line of a response, with its end."""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)


def reason_of_refusal(response: Response) -> bytes:
    """Returns the text of an error as a reason phrase: one line of at most 200 bytes.

    Clients show it when CONNECT does not lead to a tunnel: pip, npm, wget, apt and those in Go or
    Java; curl and git when verbose. Hardly any of them shows the body.
    """
    text = response.body if isinstance(response.body, bytes) else b""
    return _UNPRINTABLE.sub(b"?", b" ".join(text.split())[:_REASON_BYTES]) or response.reason


def send_body(
    stream: Stream, head: bytes, body: Body, timeout: float, chunked: bool | None
) -> bytes | None:
    """Sends *head* and *body* up to the last bytes, which it returns for the caller to send.

    For *chunked* see `frame`.

    Returns None if the body was cut short, and closes *stream*. The client can tell: a length or
    a last chunk is missing, or the connection is reset.
    """
    try:
        unsent = _send_pieces(stream, head, body, timeout, bool(chunked))
    except BaseException as error:
        is_endpoints = isinstance(error, ProxyError) and not error.by_client
        if is_endpoints and chunked is not None:
            stream.close()
        else:
            stream.reset()
        if is_endpoints:
            return None
        raise
    finally:
        body.close()
    return unsent + last_chunk(body.trailers) if chunked else unsent


def _send_pieces(stream: Stream, head: bytes, body: Body, timeout: float, chunked: bool) -> bytes:
    """Sends *head* and *body*; returns what is yet to be sent, with the last chunk if any.

    If the endpoint fails, what arrived before is still sent; if that was all that it had announced,
    the message is complete, and the failure (a stream of HTTP/2 that is reset) is not the client's.
    """
    unsent = head
    taken = 0
    if not body.has_piece:
        stream.send(unsent, timeout)
        unsent = b""
    while True:
        if not unsent and isinstance(body, CountedBody) and body.is_bulk:
            _splice(stream, body, timeout)
        try:
            piece = body.read()
        except ProxyError as error:
            if unsent:
                stream.send(unsent, timeout)
            if taken == body.length and not chunked and not error.by_client:
                return b""
            raise
        if not piece:
            return unsent
        taken += len(piece)
        data = encode(piece) if chunked else piece
        if unsent:
            data = unsent + data
        if chunked and body.has_piece and len(data) < _COLLECTED:
            unsent = bytes(data)
        else:
            stream.send(data, timeout)
            unsent = b""


def _splice(stream: Stream, body: CountedBody, timeout: float) -> None:
    """Splices what is left of *body*, if *stream* is plain too."""
    pipe = Pipe.take() if stream.is_plain else None
    if pipe is not None:
        with pipe:
            while body.fill(pipe):
                while not stream.drain(pipe):
                    stream.wait_writable(monotonic() + timeout)


def linger(stream: Stream) -> None:
    """Half-closes and reads on for a while, since the client might see a reset otherwise."""
    deadline = monotonic() + _LINGER_SECONDS
    left = _LINGER_BYTES
    with contextlib.suppress(StreamTimeout, OSError):
        stream.close_for_writing(_LINGER_SECONDS)
        while left > 0 and (data := stream.receive(deadline)):
            left -= len(data)
