"""Compresses responses for clients that accept it, piece by piece (RFC 9110 section 8.4).

linkerd: compressionLevel, done by netty's HttpContentCompressor; gzip only.
"""

import re
import zlib
from collections.abc import Iterator

from meshproxy.http.body import Body
from meshproxy.http.framing import BODILESS
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_GZIP = 31
"""zlib's window bits for the largest window with a gzip header and trailer."""
_TEXTUAL = re.compile(
    rb"text/.+|.+\+(?:json|xml|yaml|text)|application/(?:json|x-ndjson|javascript|x-javascript|"
    rb"ecmascript|xml|xml-dtd|yaml|graphql|x-www-form-urlencoded)"
).fullmatch
_FORBIDDING = frozenset(
    b"content-encoding content-range content-md5 digest content-digest repr-digest".split()
)
_AS_THEY_ARE = BODILESS | {205, 206}
_NO_TRANSFORM = re.compile(rb"(?:^|[,\s])no-transform(?:$|[,\s])", re.IGNORECASE).search


class Compress:
    """Compresses textual responses at zlib's *level* 1 to 9, or -1 for its default."""

    def __init__(self, level: int) -> None:
        self._level = level

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves; compresses the response if the client accepts that, streaming as before."""
        headers = request.headers
        if b"accept-encoding" not in headers.names or request.method == b"CONNECT":
            return service(request)
        wanted = accepts_gzip(headers) and not _forbids(headers)
        response = service(request)
        is_head = request.method == b"HEAD"
        empty = response.body == b"" and not is_head
        if wanted and not empty and is_compressible(response):
            self._compress(response, is_head=is_head)
        return response

    def _compress(self, response: Response, *, is_head: bool) -> None:
        headers, body = response.headers, response.body
        _vary(headers)
        headers.remove(b"content-length")
        headers.remove(b"accept-ranges")
        headers.add(b"Content-Encoding", b"gzip")
        etag = headers.get(b"etag")
        if etag and not etag.startswith(b"W/"):
            headers.set(b"ETag", b"W/" + etag)
        if is_head:
            return
        if isinstance(body, bytes):
            response.body = zlib.compress(body, self._level, _GZIP)
        else:
            response.body = GzipBody(body, self._level)


class GzipBody:
    """The pieces of *body* compressed, each flushed so that the client can read it at once."""

    __slots__ = ("_body", "_packer")

    length: int | None = None

    def __init__(self, body: Body, level: int) -> None:
        self._body = body
        self._packer: zlib._Compress | None = zlib.compressobj(level, zlib.DEFLATED, _GZIP)

    @property
    def trailers(self) -> Headers | None:
        """The trailers of the uncompressed body."""
        return self._body.trailers

    @property
    def has_piece(self) -> bool:
        """True if a piece of the uncompressed body is buffered."""
        return self._body.has_piece

    def read(self) -> bytes | memoryview | None:
        """Returns the next piece; the gzip trailer is one of its own. Raises what *body* raises."""
        packer = self._packer
        if packer is None:
            return b""
        if piece := self._body.read():
            return packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
        self._packer = None
        return packer.flush()

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yields the same pieces."""
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Closes the uncompressed body."""
        self._body.close()


def accepts_gzip(headers: Headers) -> bool:
    """Returns True if Accept-Encoding admits gzip, by name or by `*` (RFC 9110 section 12.5.3)."""
    weights: dict[bytes, float] = {}
    for value in headers.get_all(b"accept-encoding"):
        for member in value.lower().split(b","):
            coding, *parameters = (part.strip() for part in member.split(b";"))
            weights[coding] = _weight(parameters)
    weight = max(weights.get(b"gzip", -1.0), weights.get(b"x-gzip", -1.0))
    return (weights.get(b"*", 0.0) if weight < 0 else weight) > 0


def _weight(parameters: list[bytes]) -> float:
    """Returns the `q` among *parameters*: 1 if there is none, 0 if it is malformed."""
    for parameter in parameters:
        if parameter.startswith(b"q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def is_compressible(response: Response) -> bool:
    """Returns True if the body is textual and nothing in the head forbids changing it."""
    headers = response.headers
    if response.status < 200 or response.status in _AS_THEY_ARE:
        return False
    if headers.get(b"content-length") == b"0" or not _FORBIDDING.isdisjoint(headers.names):
        return False
    kind = (headers.get(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind.startswith(b"application/grpc"):  # messages with a compression of their own
        return False
    return _TEXTUAL(kind) is not None and not _forbids(headers)


def _forbids(headers: Headers) -> bool:
    return any(map(_NO_TRANSFORM, headers.get_all(b"cache-control")))


def _vary(headers: Headers) -> None:
    """Adds Accept-Encoding to Vary, unless it is there."""
    values = headers.get_all(b"vary")
    named = {name.strip().lower() for value in values for name in value.split(b",")}
    if named.isdisjoint({b"*", b"accept-encoding"}):
        headers.add(b"Vary", b"Accept-Encoding")
