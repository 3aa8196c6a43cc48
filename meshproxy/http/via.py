"""Via, to which every proxy adds its name (RFC 9110 section 7.6.3), and the depth it shows.

Linkerd's name is used, so proxies of both kinds count each other.
"""

import re
from typing import Final

from meshproxy.http.headers import Headers, line

PSEUDONYM: Final = b"linkerd"
OWN: Final = {version: version + b" " + PSEUDONYM for version in (b"1.0", b"1.1", b"2")}
"""What this proxy adds to Via, by the message's version."""
LOOP_HOPS: Final = 31
"""A request that has passed this many proxies of that name is in a loop."""
LOOP_BYTES: Final = LOOP_HOPS * len(b"1 " + PSEUDONYM)
"""A shorter Via cannot name that many."""
_OWN: Final = re.compile(rb"[^, \t][ \t]+%b[ \t]*(?=[,(]|$)" % PSEUDONYM)
_FIELD: Final = re.compile(rb"\r\nvia:([^\r\n]*)", re.IGNORECASE)


def append(headers: Headers, version: bytes) -> None:
    """Joins all Via fields into one and adds this proxy with the message's own *version*."""
    own = OWN[version]
    if b"via" in headers.names:
        own = b", ".join([*filter(None, headers.get_all(b"via")), own])
        headers.remove(b"via")
    headers.write_line(b"via", line(b"Via", own))


def depth(headers: Headers) -> int:
    """Returns the number of proxies named; empty members at the end of a field do not count."""
    values = (value.rstrip(b", \t") for value in headers.get_all(b"via"))
    return sum(value.count(b",") + 1 for value in values if value)


def own_hops(headers: Headers) -> int:
    """Returns the number of proxies with our name."""
    return sum(len(_OWN.findall(value)) for value in headers.get_all(b"via"))


def own_hops_in(head: bytes) -> int:
    """Returns the same for a head that has not been parsed."""
    return sum(len(_OWN.findall(value)) for value in _FIELD.findall(head))
