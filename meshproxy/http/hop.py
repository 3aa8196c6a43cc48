"""Fields that end at this hop (RFC 9110 section 7.6.1).

linkerd: router/http/.../StripHopByHopHeadersFilter.scala, plus Keep-Alive and Proxy-Connection.
"""

from meshproxy.http.headers import Headers

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade "
    b"proxy-authenticate proxy-authorization".split()
)
_NEVER_BY_NAMING = frozenset(b"host content-length via cookie set-cookie".split())


_options: dict[bytes, frozenset[bytes]] = {}
_OPTIONS_LIMIT = 256
_ORDINARY = frozenset({b"keep-alive", b"close"})


def connection_options(headers: Headers) -> frozenset[bytes]:
    """The lower-case members of every Connection field; usual values are remembered (256)."""
    value = b",".join(headers.get_all(b"connection"))
    options = _options.get(value)
    if options is None:
        options = frozenset(option.strip(b" \t") for option in value.lower().split(b","))
        if len(_options) < _OPTIONS_LIMIT:
            _options[value] = options
    return options


def strip(headers: Headers) -> None:
    """Remove hop-by-hop fields and what Connection names, framing, routing and trust excepted."""
    present = _HOP_BY_HOP.intersection(headers.names)
    if not present:
        return
    if b"connection" in present:
        named = connection_options(headers) - _ORDINARY
        present |= {
            option
            for option in named
            if option not in _NEVER_BY_NAMING and not option.startswith(b"l5d-")
        }
    for name in present:
        headers.remove(name)
