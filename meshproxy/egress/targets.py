"""The values of `to`: addresses, by class or by range."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import NamedTuple, Self

from meshproxy.egress.addresses import ORDINARY, AddressClass, IpNetwork, Target, classified


class Destination(NamedTuple):
    """The address connected to, for comparison with `to`."""

    target: Target | None
    """None if it is not an address."""
    by_name: bool = False
    """True if only an entry for the class itself matches, unless the class is ordinary."""


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A class of addresses, an address or a range."""

    kind: AddressClass | None
    network: IpNetwork | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an entry. Raises ValueError with the remedy."""
        if text and text[0].isalpha() and ":" not in text:
            try:
                return cls(AddressClass(text))
            except ValueError:
                known = ", ".join(one.value for one in AddressClass)
                raise ValueError(f"{text} is not a class of addresses: {known}") from None
        network = read_network(text)
        inside = classified(network.network_address).address
        if inside.version != network.version and network.prefixlen:
            raise ValueError(f"{text} carries IPv4 addresses, write the range of those")
        return cls(None, network)

    def match(self, fact: Destination) -> int | None:
        """Returns the length of the prefix, or of a class's network; None without a match."""
        target, by_name = fact
        if target is None:
            return None
        if self.network is None:
            return target.network.prefixlen if self.kind is target.kind else None
        if target.address not in self.network:
            return None
        if by_name and target.kind not in ORDINARY and not is_within(self.network, target.network):
            return None
        return self.network.prefixlen

    def kind_of_range(self) -> AddressClass | None:
        """Returns the class that contains the whole range; None if there is none."""
        if self.network is None:
            return None
        target = classified(self.network.network_address)
        return target.kind if is_within(self.network, target.network) else None

    def covers(self, other: "TargetEntry") -> bool:
        """As for every entry."""
        if self == other:
            return True
        if self.network is None:
            return other.kind_of_range() is self.kind
        return other.network is not None and is_within(other.network, self.network)


def is_within(inner: IpNetwork, outer: IpNetwork) -> bool:
    """Returns True if every address of *inner* is in *outer*."""
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and inner.network_address in outer
    )


def read_network(text: str) -> IpNetwork:
    """Parses a range or one address. Raises ValueError with the remedy."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        fitting = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text} is not an address or range, write such as 10.0.0.0/8") from None
    raise ValueError(f"{text} has bits of a host, write {fitting}")
