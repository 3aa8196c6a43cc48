"""Fields that end at this hop (RFC 9110 section 7.6.1).

linkerd: router/http/.../StripHopByHopHeadersFilter.scala, plus Keep-Alive and Proxy-Connection.
"""

from meshproxy.http.headers import Headers
from meshproxy.http.memo import Memo

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade "
    b"proxy-authenticate proxy-authorization".split()
)
HOP_BY_HOP_H2 = frozenset({b"proxy-authenticate", b"proxy-authorization"})
"""Those of HTTP/2, where fields of the connection are errors, and `te: trailers` is passed on."""
EDITED = {
    b"1.0": HOP_BY_HOP | {b"via"},
    b"1.1": HOP_BY_HOP | {b"via"},
    b"2": HOP_BY_HOP_H2 | {b"via"},
}
"""What forwarding changes if a message has it, by the message's version."""
_NEVER_BY_NAMING = frozenset(b"host content-length via cookie set-cookie".split())
_ONLY_CONNECTION = frozenset({b"connection"})
_CLOSES = {
    b"Connection: keep-alive": False,
    b"connection: keep-alive": False,
    b"Connection: close": True,
    b"connection: close": True,
}
"""Values of Connection that name no other field."""
_options: Memo[bytes, frozenset[bytes]] = Memo(256)


def connection_options(headers: Headers) -> frozenset[bytes]:
    """Returns the lower-case options of all Connection fields; frequent values are kept (256)."""
    value = b",".join(headers.get_all(b"connection"))
    options = _options.get(value)
    if options is None:
        options = frozenset(option.strip(b" \t") for option in value.lower().split(b","))
        _options.keep(value, options)
    return options


def take_close(headers: Headers) -> bool:
    """Returns True if Connection has `close`; removes a field that has nothing else, or nothing."""
    names = headers.names
    count = names.count(b"connection")
    if not count:
        return False
    if count == 1:  # the common case of a response, here and in `strip`
        at = names.index(b"connection")
        closes = _CLOSES.get(headers.lines[at])
        if closes is not None:
            del names[at], headers.lines[at]
            return closes
    return b"close" in connection_options(headers)


def strip_request(headers: Headers, version: bytes) -> None:
    """Removes the hop-by-hop fields of a request of that *version*."""
    if version != b"2":
        strip(headers, may_upgrade=version == b"1.1")
    elif not HOP_BY_HOP_H2.isdisjoint(headers.names):
        headers.remove_where(HOP_BY_HOP_H2.__contains__)


def strip(headers: Headers, *, may_upgrade: bool) -> None:
    """Removes hop-by-hop fields and those named by Connection, except framing, routing and trust.

    With *may_upgrade*, Upgrade stays if Connection names it and it is not for `h2c`
    (RFC 9110 section 7.8).
    """
    names = headers.names
    if HOP_BY_HOP.isdisjoint(names):
        return
    present = HOP_BY_HOP.intersection(names)
    if present == _ONLY_CONNECTION:  # the common case of a response
        at = names.index(b"connection")
        if headers.lines[at] in _CLOSES and names.count(b"connection") == 1:
            del names[at], headers.lines[at]
            return
    options = connection_options(headers) if b"connection" in present else frozenset()
    upgrade = headers.get(b"upgrade") if may_upgrade and b"upgrade" in options else None
    present |= {
        option
        for option in options
        if option not in _NEVER_BY_NAMING and not option.startswith(b"l5d-")
    }
    for name in present:
        headers.remove(name)
    if upgrade and b"h2c" not in upgrade.lower():
        headers.add(b"Connection", b"upgrade")
        headers.add(b"Upgrade", upgrade)
