"""Classes of IP addresses, from a table of our own that is the same for every Python.

IANA's special-purpose address registries (RFC 6890), RFC 4291, 6052, 8215, 3056, 4380 and 5214, and
the metadata services of AWS, GCP, Azure and Alibaba.
"""

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


class AddressClass(Enum):
    """A class of addresses; the value is its name in rules."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "linkLocal"
    METADATA = "metadata"
    MULTICAST = "multicast"
    RESERVED = "reserved"


ORDINARY: Final = frozenset({AddressClass.PUBLIC, AddressClass.PRIVATE})
"""Classes that a rule without `to` covers."""


class Target(NamedTuple):
    """The address that rules are compared with, and its class."""

    address: IpAddress
    """The embedded IPv4 address if there is one, else the address itself."""
    kind: AddressClass
    network: IpNetwork
    """The network in the table that gives the class."""


_NETWORKS: Final = {
    AddressClass.METADATA: (
        "169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 168.63.129.16 "
        "fd00:ec2::254 fd00:ec2::23 fd20:ce::254"
    ),
    AddressClass.LOOPBACK: "127.0.0.0/8 ::1",
    AddressClass.LINK_LOCAL: "169.254.0.0/16 fe80::/10",
    AddressClass.PRIVATE: "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7",
    AddressClass.MULTICAST: "224.0.0.0/4 ff00::/8",
    AddressClass.RESERVED: (
        "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 "
        "192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
        "::/0 2001::/23 2001:db8::/32 2620:4f:8000::/48 3fff::/20"
    ),
    AddressClass.PUBLIC: "0.0.0.0/0 2000::/3",
}
"""The smallest network that contains an address decides. IPv6 outside 2000::/3 is unassigned."""


class _Row(NamedTuple):
    first: int
    shift: int
    kind: AddressClass
    network: IpNetwork


def _rows(version: int) -> list[_Row]:
    networks = [
        (ip_network(text), kind) for kind, all_ in _NETWORKS.items() for text in all_.split()
    ]
    rows = [
        _Row(int(network.network_address) >> shift, shift, kind, network)
        for network, kind in networks
        if network.version == version
        for shift in [network.max_prefixlen - network.prefixlen]
    ]
    return sorted(rows, key=lambda row: row.shift)


_TABLE: Final = {4: _rows(4), 6: _rows(6)}
_EMBEDDED_IN_96: Final = frozenset({0, 0xFFFF, 0xFFFF0000, 0x64FF9B << 64})
"""The upper 96 bits of compatible, mapped, translated and NAT64 addresses."""
_NAT64_LOCAL: Final = 0x64FF9B0001
_TEREDO: Final = 0x20010000
_6TO4: Final = 0x2002
_ISATAP: Final = frozenset({0x5EFE, 0x02005EFE})
_ALL_ONES: Final = 0xFFFFFFFF


@lru_cache(4096)
def target_of(host: str) -> Target | None:
    """Returns the target that a connection to *host* has; None if it is not an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return classified(address)


def classified(address: IpAddress) -> Target:
    """Returns *address*, or its embedded IPv4 address, with the class."""
    if isinstance(address, IPv4Address):
        return _looked_up(address)
    number = int(address)
    found = [_looked_up(IPv4Address(inside)) for inside in _embedded(number)]
    if found:
        return next((one for one in found if one.kind is not AddressClass.PUBLIC), found[0])
    if (number >> 32) & _ALL_ONES in _ISATAP:
        inside = _looked_up(IPv4Address(number & _ALL_ONES))
        if inside.kind is not AddressClass.PUBLIC:  # else anybody's network could look public
            return inside
    return _looked_up(address)


def _embedded(number: int) -> Iterator[int]:
    """Yields the embedded IPv4 address; several if the prefix does not say where it is stored."""
    if number >> 32 in _EMBEDDED_IN_96:
        if number > 1:
            yield number & _ALL_ONES
    elif number >> 80 == _NAT64_LOCAL:
        yield from _embedded_by_local_nat64(number)
    elif number >> 96 == _TEREDO:
        yield (number & _ALL_ONES) ^ _ALL_ONES
    elif number >> 112 == _6TO4:
        yield (number >> 80) & _ALL_ONES


def _embedded_by_local_nat64(number: int) -> Iterator[int]:
    """Yields the addresses that prefixes of 48 to 96 bits would embed (RFC 6052 section 2.2)."""

    def bits(start: int, length: int) -> int:
        return (number >> (128 - start - length)) & ((1 << length) - 1)

    if not bits(88, 40):
        yield bits(48, 16) << 16 | bits(72, 16)
    if not bits(96, 32):
        yield bits(56, 8) << 24 | bits(72, 24)
    if not bits(104, 24):
        yield bits(72, 32)
    if bits(96, 32):
        yield bits(96, 32)


def _looked_up(address: IpAddress) -> Target:
    number = int(address)
    row = next(row for row in _TABLE[address.version] if number >> row.shift == row.first)
    return Target(address, row.kind, row.network)
