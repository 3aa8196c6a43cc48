"""Where a message ends: the one place that reads Content-Length and Transfer-Encoding.

RFC 9112 section 6. Anything that two parsers could read differently is refused.
"""

from meshproxy.errors import BadRequest, BadResponse, CodingNotImplemented, ProxyError
from meshproxy.http.headers import TOKEN, Headers
from meshproxy.http.memo import Memo

CHUNKED = -1
UNTIL_CLOSE = -2
_CHUNKED = b"Transfer-Encoding: chunked"
_MAX_DIGITS = 19
_MAX_LINE = 40
_lengths: Memo[bytes, int] = Memo(4096)
"""Values of Content-Length by line."""
BODILESS = frozenset({101, 204, 304})
"""Statuses whose responses have no body, as those to HEAD have none (section 6.3)."""


def request_length(headers: Headers, version: bytes) -> int:
    """Returns the length of a request body in bytes, or CHUNKED.

    The framing fields are reduced to one canonical line at most. Raises BadRequest, or
    CodingNotImplemented if only the coding is unknown (section 6.1).
    """
    names = headers.names
    if b"transfer-encoding" in names:
        if b"content-length" in names:
            raise BadRequest("both Content-Length and Transfer-Encoding")
        if version == b"1.0":
            raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
        if not _is_chunked(headers):
            if _is_well_coded(headers):
                raise CodingNotImplemented("the only Transfer-Encoding accepted here is `chunked`")
            raise BadRequest("Transfer-Encoding is not exactly `chunked`")
        return CHUNKED
    if b"content-length" in names:
        return content_length(headers, BadRequest)
    return 0


def response_length(headers: Headers) -> int:
    """Returns the length of a response body in bytes, CHUNKED or UNTIL_CLOSE.

    The status must be one that may have a body. If both framings are present, chunked wins and
    Content-Length is removed (RFC 9112 section 6.3); the caller must not reuse that connection.
    """
    names = headers.names
    if b"transfer-encoding" not in names:
        count = names.count(b"content-length")
        if not count:
            return UNTIL_CLOSE
        length = _lengths.get(headers.lines[names.index(b"content-length")])
        if count == 1 and length is not None:
            return length
        return content_length(headers, BadResponse)
    at = names.index(b"transfer-encoding")
    if headers.lines[at] == _CHUNKED and names.count(b"transfer-encoding") == 1:
        del names[at], headers.lines[at]  # it ends at this hop: cheaper here than in `hop.strip`
    elif not _is_chunked(headers):
        raise BadResponse("Transfer-Encoding is not exactly `chunked`")
    if b"content-length" in names:
        headers.remove(b"content-length")
    return CHUNKED


def announces_body(headers: Headers) -> bool:
    """Returns True if a response without a body (1xx, 204, 304, to HEAD) announces one.

    An endpoint that means it sends that body later, so the caller must not reuse the connection.
    Raises BadResponse for an invalid length.
    """
    names = headers.names
    length = content_length(headers, BadResponse) if b"content-length" in names else 0
    return length > 0 or b"transfer-encoding" in names


def _is_chunked(headers: Headers) -> bool:
    values = headers.get_all(b"transfer-encoding")
    return len(values) == 1 and values[0].lower() == b"chunked"


def _is_well_coded(headers: Headers) -> bool:
    """Returns True if `chunked` is the last of several codings, so that the end is known."""
    *others, last = _members(headers, b"transfer-encoding")
    names = [other.partition(b";")[0].rstrip(b" \t").lower() for other in others]
    return last.lower() == b"chunked" and b"chunked" not in names and all(map(TOKEN, names))


def _members(headers: Headers, name: bytes) -> list[bytes]:
    """Returns the list members in all fields called *name*."""
    return [member.strip(b" \t") for member in b",".join(headers.get_all(name)).split(b",")]


def content_length(headers: Headers, refused: type[ProxyError]) -> int:
    """Returns the value of Content-Length. Equal repetitions collapse; all else raises *refused*.

    They may be fields or, from endpoints (BadResponse), members of a list (section 6.3).
    The digits are matched as bytes first: `int()` would accept signs, underscores and spaces. Lines
    seen before (4,096) are looked up whole.
    """
    names, lines = headers.names, headers.lines
    line = lines[names.index(b"content-length")]
    length = _lengths.get(line, -1)
    if length >= 0 and names.count(b"content-length") == 1:
        return length
    length = _read_length(headers, refused)
    if line in lines and len(line) <= _MAX_LINE:  # nothing had to be rewritten
        _lengths.keep(line, length)
    return length


def _read_length(headers: Headers, refused: type[ProxyError]) -> int:
    name = b"content-length"
    values = _members(headers, name) if refused is BadResponse else headers.get_all(name)
    value = values[0]
    if len(values) > 1:
        if values.count(value) < len(values):
            raise refused("conflicting `Content-Length` headers")
        headers.set(b"Content-Length", value)
    if not value.isdigit() or len(value) > _MAX_DIGITS:
        raise refused("Content-Length is not a number of bytes")
    if value.startswith(b"0") and len(value) > 1:
        headers.set(b"Content-Length", b"%d" % int(value))
    return int(value)
