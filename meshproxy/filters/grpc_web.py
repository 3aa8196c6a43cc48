"""gRPC-Web, for callers that see no trailers (browsers), to gRPC and back.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md. Preflights of calls across origins
(CORS) are passed on like any request.
"""

import math
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterator
from struct import Struct

from meshproxy.errors import BadRequest
from meshproxy.h2 import grpc
from meshproxy.h2.reset import StreamReset
from meshproxy.http import hop
from meshproxy.http.body import Body, Interruption, RequestBody, Splice
from meshproxy.http.headers import Headers, line, of
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_WEB = b"application/grpc-web"
_TEXT = b"-text"
_kind = re.compile(_WEB + rb"(-text)?(\+[^;,\s]+)?(?:\s*;.*)?", re.IGNORECASE).fullmatch
_segments = re.compile(rb"[^=]*={0,2}").findall
"""What is between paddings: a text may consist of several, each encoded by itself."""
_TRAILERS = 0x80
"""The flag of a frame that holds trailers."""
_head = Struct(">BL").pack


class GrpcWeb:
    """Lets everything inside it see calls of gRPC over HTTP/2, whatever the client speaks."""

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves; a call of gRPC-Web gets its answer in that form, also if it was reset."""
        headers = request.headers
        if b"content-type" not in headers.names:
            return service(request)
        kind = _kind(headers.get(b"content-type") or b"")
        if kind is None:
            return service(request)
        is_text, suffix = kind[1] is not None, kind[2] or b""
        accepted = b",".join(headers.get_all(b"accept")).lower()
        sends_text = _WEB + _TEXT in accepted or (is_text and _WEB not in accepted)
        version, body = request.version, request.body
        _to_grpc(request, suffix, is_text=is_text)
        try:
            response = service(request)
        except StreamReset as error:
            response = _failed(error)
        finally:
            request.version, request.body = version, body
        _to_web(response, suffix, is_text=sends_text)
        return response


def _to_grpc(request: Request, suffix: bytes, *, is_text: bool) -> None:
    """Makes *request* one of gRPC, whose body is read in binary."""
    headers = request.headers
    if request.version != b"2":
        hop.strip(headers, may_upgrade=False)
        request.version = b"2"
    headers.set(b"Content-Type", grpc.CONTENT_TYPE + suffix)
    headers.set(b"TE", b"trailers")
    if is_text and request.body is not None:
        headers.remove(b"content-length")
        request.body = TextBody(request.body)


def _to_web(response: Response, suffix: bytes, *, is_text: bool) -> None:
    """Makes *response* one of gRPC-Web if it is one of gRPC; its status may be in its head."""
    headers, body = response.headers, response.body
    kind = headers.get(b"content-type") or b""
    if not kind.startswith(grpc.CONTENT_TYPE) or kind.startswith(_WEB):
        return
    own_suffix = kind[len(grpc.CONTENT_TYPE) :]
    made = _WEB + (_TEXT if is_text else b"") + (own_suffix or suffix)
    headers.set(b"Content-Type", made)
    if isinstance(body, bytes):
        if is_text and body:
            headers.remove(b"content-length")
            response.body = b2a_base64(body, newline=False)
        return
    headers.remove(b"content-length")
    response.body = web = WebBody(body, is_text=is_text)
    if response.ending is None:  # all of it is there
        response.body = b"".join(web)
        web.close()


def _failed(error: StreamReset) -> Response:
    """Returns the response to a call that was reset before the head of its response."""
    status = b"%d" % grpc.status_of_reset(error.code)
    message = grpc.encode_message(str(error))
    kind = (b"Content-Type", grpc.CONTENT_TYPE)
    return Response(200, b"OK", of(kind, (grpc.STATUS, status), (grpc.MESSAGE, message)))


class TextBody:
    """A request's body in base64, decoded as it is read."""

    __slots__ = ("_body", "_rest")

    length: int | None = None
    trailers: Headers | None = None
    is_bulk = False

    def __init__(self, body: RequestBody) -> None:
        self._body = body
        self._rest = b""
        """Up to three characters, which need more to be decoded."""

    @property
    def has_piece(self) -> bool:
        """True if a piece of the text is buffered."""
        return self._body.has_piece

    @property
    def is_complete(self) -> bool:
        """True once the last byte has arrived and can be decoded."""
        return self._body.is_complete and not self._rest

    @property
    def is_replayable(self) -> bool:
        """True while the text is held."""
        return self._body.is_replayable

    def keep_at_most(self, size: int) -> None:
        """Limits what is held of the text."""
        self._body.keep_at_most(size)

    def rewind(self, deadline: float = math.inf) -> None:
        """Starts over."""
        self._rest = b""
        self._body.rewind(deadline)

    def read(self, other: Interruption | None = None) -> bytes | None:
        """Returns what the next pieces of text stand for. Raises BadRequest if it is no base64."""
        while piece := self._body.read(other):
            text = self._rest + piece
            whole = len(text) // 4 * 4
            self._rest = text[whole:]
            if whole:
                return _decode(text[:whole])
        if piece is not None and self._rest:
            raise BadRequest("the body ends within a group of base64")
        return None if piece is None else b""

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int:
        """Raises TypeError: what has to be decoded cannot be spliced."""
        del pipe, other
        raise TypeError("a body in base64 is never bulk")

    def __iter__(self) -> Iterator[bytes]:
        """Yields the same pieces."""
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Closes the text."""
        self._body.close()


def _decode(text: bytes) -> bytes:
    try:
        return b"".join(a2b_base64(part, strict_mode=True) for part in _segments(text))
    except Error as error:
        raise BadRequest("the body is not in base64, as application/grpc-web-text is") from error


class WebBody:
    """The pieces of *body*, then its trailers in a frame; each piece of text is padded by itself.

    So a caller can decode each message as soon as it is there.
    """

    __slots__ = ("_body", "_is_over", "_is_text")

    length: int | None = None
    trailers: Headers | None = None

    def __init__(self, body: Body, *, is_text: bool) -> None:
        self._body = body
        self._is_text = is_text
        self._is_over = False

    @property
    def has_piece(self) -> bool:
        """True if a piece of the body is buffered."""
        return self._body.has_piece

    def read(self) -> bytes | memoryview:
        """Returns the next piece, the last of which are the trailers. Raises what *body* raises."""
        if self._is_over:
            return b""
        piece = self._body.read()
        if not piece:
            self._is_over = True
            trailers = self._body.trailers
            piece = _frame(trailers) if trailers is not None else b""
        return b2a_base64(piece, newline=False) if self._is_text else piece

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yields the same pieces."""
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Closes the body."""
        self._body.close()


def _frame(trailers: Headers) -> bytes:
    lines = b"".join(line(*field) + b"\r\n" for field in trailers.items())
    return _head(_TRAILERS, len(lines)) + lines
