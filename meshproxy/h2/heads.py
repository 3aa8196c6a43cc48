"""Headers as what is to be encoded: what `fields` reads, the other way (RFC 9113 section 8.3).

Lines stay lines, as `encoder` takes them. Those of an HTTP/1 connection are left out, and Host
becomes `:authority`.
"""

from meshproxy.h2.encoder import Encodable
from meshproxy.h2.fields import CONNECTION_FIELDS
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import MAX_LINE, Headers, line
from meshproxy.http.memo import Memo

_LEFT_OUT = CONNECTION_FIELDS | {b"host"}
_TE = line(b"te", b"trailers")
_statuses: Memo[int, Field] = Memo(1000)
_methods: Memo[bytes, Field] = Memo(64)
_authorities: Memo[bytes, Field] = Memo(4096)
"""`:authority` by the line of Host."""


def response_fields(status: int, headers: Headers) -> tuple[Encodable, ...]:
    """Returns the fields of a response head; *status* has three digits."""
    first = _statuses.get(status) or _statuses.keep(status, (b":status", b"%d" % status))
    return (first, *_lines(headers.names, headers.lines))


def request_fields(
    method: bytes, scheme: bytes, path: bytes, headers: Headers
) -> tuple[Encodable, ...]:
    """Returns the fields of a request head: *path* as HTTP/1.1's target, but without authority."""
    first = _methods.get(method) or _methods.keep(method, (b":method", method))
    names, lines = headers.names, headers.lines
    if b"host" not in names:
        return (first, (b":scheme", scheme), (b":path", path), *_lines(names, lines))
    at = names.index(b"host")
    authority = _authorities.get(lines[at]) or _authority(lines[at])
    if not at:  # as mostly; then the others may go as they are
        names, lines = names[1:], lines[1:]
    rest = _lines(names, lines)
    if not authority[1]:
        return (first, (b":scheme", scheme), (b":path", path), *rest)
    return (first, (b":scheme", scheme), authority, (b":path", path), *rest)


def trailer_fields(headers: Headers) -> tuple[Encodable, ...]:
    """Returns the fields of trailers."""
    return tuple(_lines(headers.names, headers.lines))


def _lines(names: list[bytes], lines: list[bytes]) -> list[bytes]:
    """Returns the lines that HTTP/2 has too; of TE, it has nothing but `trailers`."""
    if not _LEFT_OUT.isdisjoint(names):
        pairs = [pair for pair in zip(names, lines, strict=True) if pair[0] not in _LEFT_OUT]
        names, lines = [name for name, _ in pairs], [line for _, line in pairs]
    if b"te" in names and (names.count(b"te") > 1 or _TE not in lines):
        values = Headers(names, lines).get_all(b"te")
        lines = [line for name, line in zip(names, lines, strict=True) if name != b"te"]
        if b"trailers" in values:
            lines.append(_TE)
    return lines


def _authority(line: bytes) -> Field:
    authority = b":authority", line[len(b"host:") :].strip(b" \t")
    return _authorities.keep(line, authority) if len(line) <= MAX_LINE else authority
