"""Headers as what is to be encoded: what `fields` reads, the other way (RFC 9113 section 8.3).

Lines stay lines, as `encoder` takes them. Those of an HTTP/1 connection are left out, and Host
becomes `:authority`.
"""

from typing import TypeAlias

from meshproxy.h2.encoder import Encodable
from meshproxy.h2.split import CONNECTION_FIELDS
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import MAX_LINE, Headers, line
from meshproxy.http.memo import Memo

_LEFT_OUT = CONNECTION_FIELDS | {b"host"}
_UNLIKE = _LEFT_OUT | {b"te"}
"""Names of fields that HTTP/2 does not have, or not with each value."""
_PSEUDO = (b":method", b":scheme", b":path")
_WITH_AUTHORITY = (b":method", b":scheme", b":authority", b":path")
_NONE = b":authority", b""
_TE = line(b"te", b"trailers")
_Names: TypeAlias = tuple[bytes, ...]
_sent_on: Memo[_Names, tuple[_Names, int]] = Memo(1024)
"""Names of a request's fields by those of its headers, or none unless these go on as they are.

With them comes the place of TE, which must be `trailers`; 0 if there is none.
"""
_sent_back: Memo[_Names, _Names] = Memo(1024)
"""Names of a response's fields by those of its headers, or none unless these go back as they are.
"""
_MOST_NAMES = 1024
"""Bytes of the longest list of names that is remembered, and one for each."""
_statuses: Memo[int, Field] = Memo(1000)
_methods: Memo[bytes, Field] = Memo(64)
_authorities: Memo[bytes, Field] = Memo(4096)
"""`:authority` by the line of Host."""


def response_fields(
    status: int, headers: Headers
) -> tuple[tuple[Encodable, ...], tuple[bytes, ...]]:
    """Returns the fields of a response head, and their names; *status* has three digits."""
    first = _statuses.get(status) or _statuses.keep(status, (b":status", b"%d" % status))
    names = _sent_back.get(key := tuple(headers.names))
    if names is None:
        is_plain = _UNLIKE.isdisjoint(key)
        names = (b":status", *key) if is_plain else ()
        if _is_short(key):
            _sent_back.keep(key, names)
    if names:
        return (first, *headers.lines), names
    kept, lines = _lines(headers.names, headers.lines)
    return (first, *lines), (b":status", *kept)


def request_fields(
    method: bytes, scheme: bytes, path: bytes, headers: Headers
) -> tuple[tuple[Encodable, ...], tuple[bytes, ...]]:
    """Returns the fields of a request head, and their names.

    *path* is as HTTP/1.1's target, but without authority.
    """
    first = _methods.get(method) or _methods.keep(method, (b":method", method))
    lines = headers.lines
    names, te = _sent_on.get(key := tuple(headers.names)) or _know(key)
    if names and (not te or lines[te] == _TE):
        authority = _authorities.get(lines[0]) or _authority(lines[0])
        if authority[1]:
            return (first, (b":scheme", scheme), authority, (b":path", path), *lines[1:]), names
    return _request_fields(first, (b":scheme", scheme), (b":path", path), headers)


def _request_fields(
    method: Field, scheme: Field, path: Field, headers: Headers
) -> tuple[tuple[Encodable, ...], tuple[bytes, ...]]:
    """Returns the fields of a head that may not go on as it is."""
    names, lines = headers.names, headers.lines
    authority = _NONE
    if b"host" in names:
        at = names.index(b"host")
        authority = _authorities.get(lines[at]) or _authority(lines[at])
        if not at:  # as mostly; then the others may go as they are
            names, lines = names[1:], lines[1:]
    names, lines = _lines(names, lines)
    if not authority[1]:
        return (method, scheme, path, *lines), (*_PSEUDO, *names)
    return (method, scheme, authority, path, *lines), (*_WITH_AUTHORITY, *names)


def _know(key: _Names) -> tuple[_Names, int]:
    """Returns what `_sent_on` has for *key*, and keeps it there."""
    is_plain = key[:1] == (b"host",) and _LEFT_OUT.isdisjoint(key[1:]) and key.count(b"te") < 2
    known = (
        (*_WITH_AUTHORITY, *key[1:]) if is_plain else (),
        key.index(b"te") if b"te" in key else 0,
    )
    return _sent_on.keep(key, known) if _is_short(key) else known


def _is_short(names: _Names) -> bool:
    return sum(map(len, names)) + len(names) <= _MOST_NAMES


def trailer_fields(headers: Headers) -> tuple[tuple[Encodable, ...], tuple[bytes, ...]]:
    """Returns the fields of trailers, and their names."""
    names, lines = headers.names, headers.lines
    if not _UNLIKE.isdisjoint(names):
        names, lines = _lines(names, lines)
    return tuple(lines), tuple(names)


def _lines(names: list[bytes], lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Returns names and lines that HTTP/2 has too; of TE, it has nothing but `trailers`."""
    if _UNLIKE.isdisjoint(names):
        return names, lines
    if names.count(b"te") == 1 and _TE in lines and _LEFT_OUT.isdisjoint(names):
        return names, lines
    pairs = [pair for pair in zip(names, lines, strict=True) if pair[0] not in _LEFT_OUT]
    if b"te" in names and (names.count(b"te") > 1 or _TE not in lines):
        values = Headers(names, lines).get_all(b"te")
        pairs = [pair for pair in pairs if pair[0] != b"te"]
        if b"trailers" in values:
            pairs.append((b"te", _TE))
    return [name for name, _ in pairs], [line for _, line in pairs]


def _authority(line: bytes) -> Field:
    authority = b":authority", line[len(b"host:") :].strip(b" \t")
    return _authorities.keep(line, authority) if len(line) <= MAX_LINE else authority
