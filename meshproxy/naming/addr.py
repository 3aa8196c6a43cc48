"""What a bound name's address is known to be (finagle: Addr.scala, Address.scala)."""

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Address:
    """One endpoint: a host literal, a port, and what its namer knows about it."""

    host: str
    port: int
    weight: float = 1.0
    meta: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str | None:
        """Return the metadata value called *key*."""
        for name, value in self.meta:
            if name == key:
                return value
        return None


@dataclass(frozen=True, slots=True)
class AddrPending:
    """Nothing is known yet."""


@dataclass(frozen=True, slots=True)
class AddrNeg:
    """The name has no address."""


@dataclass(frozen=True, slots=True)
class AddrFailed:
    """The address cannot be found out, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class AddrBound:
    """The name's endpoints, perhaps none."""

    addresses: frozenset[Address]
    authority: str | None = None
    """What they want to read in Host, whatever the client wrote; None leaves that as it is."""


Addr: TypeAlias = AddrPending | AddrNeg | AddrFailed | AddrBound

ADDR_PENDING: Final = AddrPending()
ADDR_NEG: Final = AddrNeg()


def merged(addrs: tuple[Addr, ...]) -> Addr:
    """One address of many: what is bound counts; without any, what the others wait or fail for."""
    found = [each.addresses for each in addrs if isinstance(each, AddrBound)]
    if found or not addrs:
        return AddrBound(frozenset().union(*found))
    if any(isinstance(each, AddrPending) for each in addrs):
        return ADDR_PENDING
    return next((each for each in addrs if isinstance(each, AddrFailed)), ADDR_NEG)
