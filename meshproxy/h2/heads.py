"""Headers as the fields of HTTP/2: what `fields` reads, the other way (RFC 9113 section 8.3).

Lines that recur are remembered with their field. Fields of an HTTP/1 connection are left out, and
Host becomes `:authority`.
"""

from meshproxy.h2.fields import CONNECTION_FIELDS, SensitiveHeaders
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import MAX_LINE, REPEATING, Headers
from meshproxy.http.memo import Memo

_LEFT_OUT = CONNECTION_FIELDS | {b"te", b"host"}
_RECURRING = REPEATING | {
    b"l5d-dst-service", b"l5d-dst-client", b"l5d-dst-residual", b"l5d-success-class"
}  # fmt: skip
_NONE: frozenset[bytes] = frozenset()
_TE = b"te", b"trailers"
_fields: Memo[bytes, Field] = Memo(4096)
"""Fields by line, for names whose values recur."""
_statuses: Memo[int, Field] = Memo(1000)
_methods: Memo[bytes, Field] = Memo(64)


def response_fields(status: int, headers: Headers) -> tuple[Field, ...]:
    """Returns the fields of a response head; *status* has three digits."""
    first = _statuses.get(status) or _statuses.keep(status, (b":status", b"%d" % status))
    return (first, *_fields_of(headers))


def request_fields(
    method: bytes, scheme: bytes, path: bytes, headers: Headers
) -> tuple[Field, ...]:
    """Returns the fields of a request head: *path* as HTTP/1.1's target, but without authority."""
    first = _methods.get(method) or _methods.keep(method, (b":method", method))
    rest = _fields_of(headers)
    authority = headers.get(b"host")
    if authority:
        return (first, (b":scheme", scheme), (b":authority", authority), (b":path", path), *rest)
    return (first, (b":scheme", scheme), (b":path", path), *rest)


def trailer_fields(headers: Headers) -> tuple[Field, ...]:
    """Returns the fields of trailers."""
    return tuple(_fields_of(headers))


def unindexed(headers: Headers) -> frozenset[bytes]:
    """Returns the names of fields that came as never indexed, and must go on as such."""
    return headers.never_indexed if isinstance(headers, SensitiveHeaders) else _NONE


def _fields_of(headers: Headers) -> list[Field]:
    names = headers.names
    known = _fields
    if _LEFT_OUT.isdisjoint(names):
        return [
            known.get(line) or _field(name, line)
            for name, line in zip(names, headers.lines, strict=True)
        ]
    fields = [
        known.get(line) or _field(name, line)
        for name, line in zip(names, headers.lines, strict=True)
        if name not in _LEFT_OUT
    ]
    if b"te" in names and b"trailers" in headers.get_all(b"te"):
        fields.append(_TE)
    return fields


def _field(name: bytes, line: bytes) -> Field:
    field = name, line[len(name) + 1 :].strip(b" \t")
    if name in _RECURRING and len(line) <= MAX_LINE:
        _fields.keep(line, field)
    return field
