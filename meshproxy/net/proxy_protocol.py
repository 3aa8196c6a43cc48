"""The PROXY protocol, versions 1 and 2: who the client of a load balancer's connection is.

HAProxy's specification, doc/proxy-protocol.txt sections 2.1 and 2.2. What an accepted connection
begins with is read from its socket to the last byte of the header and no further, so that TLS or
HTTP begins right after it.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

import gevent
import gevent.socket

MOST_BYTES: Final = 536
"""The longest header accepted: version 2 with addresses of Unix sockets and room for more."""
_MOST_TEXT: Final = 107
_TEXT: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED: Final = 16
"""Bytes before the addresses of version 2, with their length at the end."""
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_BYTES: Final = {0x11: 4, 0x21: 16}
"""Bytes of an address of TCP over IPv4 and over IPv6."""
_UNUSED: Final = {0x00, 0x12, 0x22, 0x31, 0x32}
"""Other families, whose addresses say nothing about a client of HTTP."""
_FAMILIES: Final = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}


class BadHeader(ValueError):
    """A connection does not begin with a valid header."""


class ProxyHeader(NamedTuple):
    """How much of the bytes looked at belongs to a header, and what it says if it is complete."""

    length: int
    is_complete: bool = False
    client: str | None = None
    """`host:port`, IPv6 in brackets; None if the header leaves it to the socket."""


def parse(data: bytes) -> ProxyHeader:
    """Returns what *data*, the first bytes of a connection, hold of a header. Raises BadHeader."""
    if data.startswith(_SIGNATURE):
        return _binary(data)
    if data.startswith(_TEXT):
        return _text(data)
    if _SIGNATURE.startswith(data) or _TEXT.startswith(data):
        return ProxyHeader(len(data))
    raise BadHeader("the connection does not begin with a PROXY header")


def receive(sock: gevent.socket.socket, seconds: float) -> str | None:
    """Reads a header from *sock* and no byte beyond it, within *seconds*.

    Returns the client's `host:port`; None if the header leaves it to the socket. Raises BadHeader.
    """
    data = b""
    try:
        with gevent.Timeout(seconds, TimeoutError()):
            while True:
                seen = sock.recv(MOST_BYTES - len(data), socket.MSG_PEEK)
                if not seen:
                    raise BadHeader("the connection ended within its PROXY header")
                header = parse(data + seen)
                data += sock.recv(header.length - len(data))
                if header.is_complete:
                    return header.client
    except TimeoutError:
        raise BadHeader(f"no PROXY header within {seconds:g} s") from None
    except OSError as error:
        raise BadHeader(f"the connection broke within its PROXY header: {error}") from error


def _text(data: bytes) -> ProxyHeader:
    end = data.find(b"\r\n", 0, _MOST_TEXT)
    if end < 0:
        if len(data) >= _MOST_TEXT:
            raise BadHeader(f"a PROXY header without an end in {_MOST_TEXT} bytes")
        return ProxyHeader(len(data))
    length = end + 2
    match data[len(_TEXT) : end].split(b" "):
        case [b"UNKNOWN", *_]:
            return ProxyHeader(length, is_complete=True)
        case [family, source, destination, *ports] if family in _FAMILIES and len(ports) == 2:
            client = _written(family, source, ports[0])
            _written(family, destination, ports[1])
            return ProxyHeader(length, True, client)
    raise BadHeader("a PROXY header that is not as its version 1 has it")


def _written(family: bytes, host: bytes, port: bytes) -> str:
    try:
        address = ip_address(host.decode("ascii"))
    except ValueError:
        address = None
    number = int(port) if port.isdigit() and len(port) <= 5 else -1
    is_canonical = 0 <= number <= 65535 and b"%d" % number == port
    if not isinstance(address, _FAMILIES[family]) or not is_canonical or b"%" in host:
        raise BadHeader("a PROXY header with an address or port that is none")
    return _show(address, number)


def _binary(data: bytes) -> ProxyHeader:
    if len(data) < _FIXED:
        return ProxyHeader(len(data))
    command, family = data[12], data[13]
    length = _FIXED + int.from_bytes(data[14:16], "big")
    if length > MOST_BYTES:
        raise BadHeader(f"a PROXY header of {length} bytes, more than {MOST_BYTES}")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("a PROXY header of an unknown version or command")
    if len(data) < length:
        return ProxyHeader(len(data))
    if command == _LOCAL or family in _UNUSED:
        return ProxyHeader(length, is_complete=True)
    size = _ADDRESS_BYTES.get(family)
    if size is None or length < _FIXED + 2 * size + 4:
        raise BadHeader("a PROXY header without the addresses that it announces")
    source = ip_address(data[_FIXED : _FIXED + size])
    port = int.from_bytes(data[_FIXED + 2 * size : _FIXED + 2 * size + 2], "big")
    return ProxyHeader(length, True, _show(source, port))


def _show(address: IPv4Address | IPv6Address, port: int) -> str:
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
