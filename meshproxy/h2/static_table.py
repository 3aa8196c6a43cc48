"""HPACK's static table (RFC 7541 appendix A): the fields that every connection knows by number."""

from typing import TypeAlias

Field: TypeAlias = tuple[bytes, bytes]
"""Name and value of a field."""

_ENTRIES = b"""
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""
ENTRY_OVERHEAD = 32
"""Bytes that an entry of a table costs beyond its name and value (RFC 7541 section 4.1)."""


def _entry(line: bytes) -> Field:
    name, _, value = line.partition(b" ")
    return name, value


STATIC: tuple[Field, ...] = ((b"", b""), *map(_entry, _ENTRIES.strip().split(b"\n")))
"""Entries by their index; the first is no entry, since indexes begin at 1."""
BEYOND_STATIC = len(STATIC)
"""The index of the newest entry of a dynamic table."""
INDEX_OF: dict[Field, int] = {field: index for index, field in enumerate(STATIC) if index}
NAME_INDEX_OF: dict[bytes, int] = {
    name: index for index, (name, _) in reversed(list(enumerate(STATIC))) if index
}
"""The lowest index of each name."""


def size_of(name: bytes, value: bytes) -> int:
    """Returns the bytes that a field counts, in tables and in the size of a field section."""
    return len(name) + len(value) + ENTRY_OVERHEAD
