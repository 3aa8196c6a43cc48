"""The values of `from`: clients, by address or by a name in their certificate."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from meshproxy.egress.addresses import IpAddress, IpNetwork
from meshproxy.egress.entries import Choice
from meshproxy.egress.targets import is_within, read_network

_EXACT: Final = 1_000_000
"""More specific than any pattern."""


class Caller(NamedTuple):
    """The client of a request: its address, and the names of its verified certificate, if any.

    Names are `uri:...` and `dns:...`, in the order of the certificate.
    """

    address: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeEntry:
    """An address or range that a client connects from."""

    network: IpNetwork

    def match(self, fact: IpAddress | None) -> int | None:
        """Returns the length of the prefix; None without a match."""
        return self.network.prefixlen if fact is not None and fact in self.network else None

    def covers(self, other: "RangeEntry") -> bool:
        """As for every entry."""
        return is_within(other.network, self.network)


@dataclass(frozen=True, slots=True)
class NameEntry:
    """A name of a certificate, with its kind before it; `*` at one end stands for any text."""

    kind: str
    text: str
    wildcard: str = ""
    """The place of the `*`, `first` or `last`; empty if there is none."""

    def match(self, fact: str) -> int | None:
        """Returns the number of characters, or more than any pattern has for an exact name."""
        kind, _, name = fact.partition(":")
        if kind != self.kind:
            return None
        if kind == "dns":
            name = name.lower()
        match self.wildcard:
            case "first":
                return len(self.text) if name.endswith(self.text) else None
            case "last":
                return len(self.text) if name.startswith(self.text) else None
        return _EXACT if name == self.text else None

    def covers(self, other: "NameEntry") -> bool:
        """As for every entry."""
        if self == other:
            return True
        return (
            bool(self.wildcard)
            and other.wildcard in ("", self.wildcard)
            and self.match(f"{other.kind}:{other.text}") is not None
        )


def read_caller(text: str) -> RangeEntry | NameEntry:
    """Parses an entry of `from`. Raises ValueError with the remedy."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("dns", "uri"):
        try:
            return RangeEntry(read_network(text))
        except ValueError as error:
            raise ValueError(f"{error}, or dns: or uri: and a name") from None
    if kind == "dns":
        name = name.lower()
    wildcard = "last" if name.endswith("*") else "first" if name.startswith("*") else ""
    rest = name[:-1] if wildcard == "last" else name[1:] if wildcard else name
    if not name or "*" in rest:
        raise ValueError(f"{text}: write a name after {kind}:, with one `*` at one end at most")
    return NameEntry(kind, rest, wildcard)


@dataclass(frozen=True, slots=True)
class Callers:
    """The value of `from`: ranges and names, which are compared separately.

    A range cannot be more specific than a name, so what either takes away is gone.
    """

    ranges: Choice[RangeEntry]
    names: Choice[NameEntry]

    def matches(self, caller: Caller) -> bool:
        """Returns True if *caller* is one of them."""
        return self.name_of(caller) is not None

    def name_of(self, caller: Caller) -> str | None:
        """Returns the name or address by which *caller* matches; None if it does not."""
        address = _address_of(caller)
        if _takes(self.ranges, address) or any(_takes(self.names, name) for name in caller.names):
            return None
        named = next((name for name in caller.names if self.names.matches(name)), None)
        if named is None and self.ranges.matches(address):
            return caller.address
        return named

    def covers(self, other: "Callers") -> bool:
        """Returns True if it certainly matches every caller that *other* matches."""
        return self.ranges.covers(other.ranges) and self.names.covers(other.names)


def _address_of(caller: Caller) -> IpAddress | None:
    """Returns the address of *caller*, an IPv4-mapped one as IPv4; None if it is not an address."""
    try:
        address = ip_address(caller.address)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _takes(choice: Choice[Any], fact: Any) -> bool:
    """Returns True if an entry with `!` decides about *fact*."""
    return any(
        item.takes_away and item.entry.match(fact) is not None for item in choice.items
    ) and (not choice.matches(fact))
