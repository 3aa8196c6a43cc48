"""The address of a bound name, as far as it is known (finagle: Addr.scala, Address.scala)."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from meshproxy.var import PENDING, Ok, State


@dataclass(frozen=True, slots=True)
class Address:
    """One endpoint: a host literal, a port, and what its namer knows about it."""

    host: str
    port: int
    weight: float = 1.0
    meta: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str | None:
        """Returns the metadata value called *key*."""
        for name, value in self.meta:
            if name == key:
                return value
        return None

    @property
    def reached(self) -> "tuple[Address, ...]":
        """The addresses that a connection may lead to, as far as they are known."""
        return (self,)


@dataclass(frozen=True, slots=True)
class NamedAddress(Address):
    """An endpoint that is told to a parent proxy by its name, which looks the name up itself."""

    found: frozenset[Address] = frozenset()
    """What our own look-up found; empty if the name is unknown here."""

    @property
    def reached(self) -> tuple[Address, ...]:
        """As for every address."""
        return tuple(sorted(self.found, key=lambda one: (":" in one.host, one.host)))


@dataclass(frozen=True, slots=True)
class AddrPending:
    """Nothing is known yet."""


@dataclass(frozen=True, slots=True)
class AddrNeg:
    """The name has no address."""


@dataclass(frozen=True, slots=True)
class AddrFailed:
    """The address cannot be found, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class AddrBound:
    """The endpoints of the name; there may be none."""

    addresses: frozenset[Address]
    authority: str | None = None
    """The Host that the endpoints expect; None keeps the client's."""


Addr: TypeAlias = AddrPending | AddrNeg | AddrFailed | AddrBound

ADDR_PENDING: Final = AddrPending()
ADDR_NEG: Final = AddrNeg()


def merged(addrs: tuple[Addr, ...]) -> Addr:
    """Returns one address for many: all endpoints of the bound ones, or pending, failed or neg."""
    found = [each.addresses for each in addrs if isinstance(each, AddrBound)]
    if found or not addrs:
        return AddrBound(frozenset().union(*found))
    if any(isinstance(each, AddrPending) for each in addrs):
        return ADDR_PENDING
    return next((each for each in addrs if isinstance(each, AddrFailed)), ADDR_NEG)


def settled(addr: Addr) -> State[Addr]:
    """Returns *addr* as a state to wait for, which is pending as long as the address is."""
    return PENDING if isinstance(addr, AddrPending) else Ok(addr)
