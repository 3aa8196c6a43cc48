"""The canonical spelling of a request's authority: one spelling for one destination.

RFC 3986 sections 3.2.2, 3.2.3 and 6.2.3. Names are made of this spelling, so that no other spelling
bypasses a rule that is written for a name. The case of a host is kept, since dtabs and some namers
distinguish upper from lower case; the ids of hosts are in lower case (`namers.system`).
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from meshproxy.errors import BadRequest, Forbidden
from meshproxy.http.headers import Headers

_AUTHORITY: Final = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_~!$&'()*+=-]+(?:\.[A-Za-z0-9_~!$&'()*+=-]+)*)\.?)"
    rb"(?::([A-Za-z0-9][A-Za-z0-9-]*)?)?"
).fullmatch
_NUMBERS: Final = re.compile(
    rb"(?:[0-9]+|0x[0-9a-f]*)(?:\.(?:[0-9]+|0x[0-9a-f]*))+", re.IGNORECASE
).fullmatch
_MAX_LENGTH: Final = 255 + 64
_MAX_PORT: Final = 65535
_REMEMBERED: Final = 4096


@lru_cache(_REMEMBERED)
def canonical(authority: bytes, scheme: bytes = b"") -> bytes:
    """Returns the canonical spelling of *authority*: `host`, `host:port` or `host:port-name`.

    An IPv6 address is written in brackets and in its shortest form, or as an IPv4 address if it
    only carries one; a final dot, an empty port and leading zeros of a port are removed. A missing
    port is left to the dtab, except that it is 443 for *scheme* https. Raises BadRequest unless
    *authority* is a host with an optional port, and for numbers that only some software would read
    as an IPv4 address (`127.1`).
    """
    found = _AUTHORITY(authority) if len(authority) <= _MAX_LENGTH else None
    if found is None:
        raise BadRequest("Host is not a host name or address with an optional port")
    address, name, port = found.groups()
    host = _checked(name) if address is None else _shortest(address)
    if port is None:
        return host + b":443" if scheme == b"https" else host
    if port.isdigit():
        number = port.lstrip(b"0") or b"0"
        if len(number) > 5 or int(number) > _MAX_PORT:
            raise BadRequest("the port of Host is over 65535")
        port = number
    return b"%b:%b" % (host, port)


def authority_form(target: bytes, headers: Headers, ports: frozenset[int]) -> bytes:
    """Returns the target of a CONNECT, checked, and makes it the Host (RFC 9110 section 9.3.6).

    Raises BadRequest (400), or Forbidden (403) for a port not in *ports*.
    """
    host, _, port = canonical(target).rpartition(b":")
    if not host or not port.isdigit():
        raise BadRequest("CONNECT needs a host and a port number")
    if int(port) not in ports:
        raise Forbidden(f"CONNECT to port {int(port)} is not allowed, see connectPorts")
    headers.set(b"Host", target)
    return target


def _checked(name: bytes) -> bytes:
    """Returns *name*. Raises BadRequest if it is an address in an ambiguous form."""
    if _NUMBERS(name):
        try:
            IPv4Address(name.decode("ascii"))
        except AddressValueError:
            raise BadRequest("Host is not an IPv4 address in dotted form") from None
    return name


def _shortest(address: bytes) -> bytes:
    try:
        parsed = IPv6Address(address.decode("ascii"))
    except AddressValueError:
        raise BadRequest("the brackets in Host do not contain an IPv6 address") from None
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped).encode("ascii")
    return b"[%b]" % str(parsed).encode("ascii")
