"""The host that a request is for: Host, the four forms of target, and nothing ambiguous.

RFC 9112 section 3.2 and RFC 9110 section 7.2; the authority of an absolute target replaces Host
(linkerd: router/http/.../ProxyRewriteFilter.scala, with its defects fixed).
"""

import re

from meshproxy.errors import BadRequest
from meshproxy.http.authority import authority_form, canonical
from meshproxy.http.headers import Headers, value_of
from meshproxy.http.memo import Memo

_USERINFO = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%-]*").fullmatch
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE).fullmatch
_FRAGMENT = ord("#")
"""The byte as an int, for the reason given in `head`."""
_checked: Memo[bytes, None] = Memo(4096)
"""Valid lines of Host."""


def origin_form(
    method: bytes,
    target: bytes,
    version: bytes,
    headers: Headers,
    connect_ports: frozenset[int] = frozenset(),
) -> bytes:
    """Returns the target to send on, after checking Host and setting it to what was asked for.

    Raises BadRequest (400), or Forbidden (403) for CONNECT to a port not in *connect_ports*.
    """
    hosts = headers.names.count(b"host")
    if hosts != 1 and (hosts or version == b"1.1"):
        raise BadRequest("HTTP/1.1 requires exactly one Host header")
    if hosts:
        line = headers.lines[headers.names.index(b"host")]
        if line not in _checked:
            _check_host(line)
    if _FRAGMENT in target:
        raise BadRequest("a request target must not have a fragment")
    if method == b"CONNECT":
        return authority_form(target, headers, connect_ports)
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    match = _ABSOLUTE(target)
    if not match:
        raise BadRequest("target is neither a path, nor a URL, nor `*` with OPTIONS")
    authority, path = match.groups()
    userinfo, at, host = authority.rpartition(b"@")
    if at and not _USERINFO(userinfo):
        raise BadRequest("a URL's user information has characters that are not allowed there")
    canonical(host)
    headers.set(b"Host", host)
    if method == b"OPTIONS" and not path:
        return b"*"
    return path if path.startswith(b"/") else b"/" + path


def scheme_of(target: bytes) -> bytes:
    """Returns the scheme of an absolute *target* in lower case; empty for every other form."""
    match = _ABSOLUTE(target)
    return target[: target.index(b":")].lower() if match else b""


def _check_host(line: bytes) -> None:
    """Checks a Host field, which may be empty; valid lines are remembered whole (4,096)."""
    host = value_of(line)
    if host:
        canonical(host)
    _checked.keep(line, None)
