"""The endpoints that a discovery system lists: addresses, and host names that stand for some."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from meshproxy.discovery.hostname import literal
from meshproxy.naming.addr import Addr, AddrBound, Address, merged
from meshproxy.var import Var, collect

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4: Final = re.compile(rf"(?!0\d){_OCTET}(?:\.(?!0\d){_OCTET}){{3}}", re.ASCII)

Resolve = Callable[[str, str], Var[Addr]]
"""Finds the addresses of a host name, each with the port of this text."""


@dataclass(frozen=True, slots=True)
class Members:
    """Endpoints whose host is an address, and others whose host is a name."""

    literal: frozenset[Address] = frozenset()
    named: frozenset[Address] = frozenset()

    @classmethod
    def of(cls, listed: Iterable[Address]) -> "Members":
        """Tell the ones from the others; addresses are put into their canonical form."""
        literals, named = [], []
        for each in listed:
            host = each.host if _IPV4.fullmatch(each.host) else literal(each.host)
            if host is None:
                named.append(each)
            else:
                literals.append(each if host == each.host else replace(each, host=host))
        return cls(frozenset(literals), frozenset(named))

    def __bool__(self) -> bool:
        return bool(self.literal or self.named)

    def show(self) -> list[dict[str, object]]:
        """Return them for people, as JSON, in the order of their hosts."""
        ordered = sorted(self.literal | self.named, key=lambda each: (each.host, each.port))
        return [
            {"host": one.host, "port": one.port, "weight": one.weight, "meta": dict(one.meta)}
            for one in ordered
        ]

    def addr(self, resolve: Resolve, authority: str | None = None) -> Var[Addr]:
        """Return all addresses, each with the weight and the metadata of its member.

        What does not resolve is left out, unless nothing does.
        """
        if not self.named:
            return Var(AddrBound(self.literal, authority))
        found = [_like(member, resolve(member.host, str(member.port))) for member in self.named]
        if self.literal:
            found.append(Var(AddrBound(self.literal)))
        return collect(found).map(lambda addrs: _with_authority(merged(addrs), authority))


def _like(member: Address, addr: Var[Addr]) -> Var[Addr]:
    def change(found: Addr) -> Addr:
        if not isinstance(found, AddrBound):
            return found
        return AddrBound(frozenset(replace(member, host=one.host) for one in found.addresses))

    return addr.map(change)


def _with_authority(addr: Addr, authority: str | None) -> Addr:
    return replace(addr, authority=authority) if isinstance(addr, AddrBound) else addr
