"""Tests if an address belongs to this machine, according to the kernel at that moment."""

import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_FOREIGN: Final = {4: "255.255.255.254", 6: "100::1"}
"""Addresses that no machine has: reserved, and for discarding (RFC 1112 section 4, RFC 6666)."""
_ANY_PORT: Final = 9


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Returns True if what is sent to *address* is delivered to this machine.

    A socket can only be bound to an own address: those of all interfaces, loopback, and ranges that
    the routing table calls local. If the system allows any (ip(7), ip_nonlocal_bind), an own
    address is one that is its own source. Sends nothing, and returns False if the system provides
    no socket.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        if not _can_bind(family, _FOREIGN[address.version]):
            return _can_bind(family, str(address))
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _ANY_PORT))
            return address.is_loopback or probe.getsockname()[0] == str(address)
    except OSError:
        return False


def _can_bind(family: socket.AddressFamily, host: str) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True
