"""The endpoints that a discovery system lists: addresses, and host names to be resolved."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from meshproxy.discovery.hostname import literal
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, merged
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var, collect

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4: Final = re.compile(rf"(?!0\d){_OCTET}(?:\.(?!0\d){_OCTET}){{3}}", re.ASCII)

Resolve = Callable[[str, str], Var[Addr]]
"""Resolves a host name to addresses, each with the port in the second text."""


@dataclass(frozen=True, slots=True)
class Members:
    """Endpoints whose host is an address, and others whose host is a name."""

    literal: frozenset[Address] = frozenset()
    named: frozenset[Address] = frozenset()
    authority: str | None = None
    """The Host that they are sent, whatever the client sent."""

    @classmethod
    def of(cls, listed: Iterable[Address]) -> "Members":
        """Separates addresses from names, and makes addresses canonical."""
        literals, named = set(), set()
        for each in listed:
            host = each.host if _IPV4.fullmatch(each.host) else literal(each.host)
            if host is None:
                named.add(each)
            else:
                literals.add(each if host == each.host else replace(each, host=host))
        return cls(frozenset(literals), frozenset(named))

    def __bool__(self) -> bool:
        return bool(self.literal or self.named)

    def show(self) -> list[dict[str, object]]:
        """Returns them as JSON for human readers, ordered by host."""
        ordered = sorted(self.literal | self.named, key=lambda each: (each.host, each.port))
        return [
            {"host": one.host, "port": one.port, "weight": one.weight, "meta": dict(one.meta)}
            for one in ordered
        ]

    def addr(self, resolve: Resolve) -> Var[Addr]:
        """Returns all addresses, each with the weight and the metadata of its member.

        Members that do not resolve are omitted, unless none does.
        """
        if not self.named:
            return Var(AddrBound(self.literal, self.authority))
        found = [_like(member, resolve(member.host, str(member.port))) for member in self.named]
        if self.literal:
            found.append(Var(AddrBound(self.literal)))
        return collect(found).map(lambda addrs: _with_authority(merged(addrs), self.authority))


def bind_members(
    found: Activity[Members], id_: Path, residual: Path, resolve: Resolve
) -> Activity[NameTree[Path | Bound]]:
    """Returns a leaf that follows *found*, or negative while there are no members."""

    def addr(state: State[Members]) -> Var[Addr]:
        if not isinstance(state, Ok):
            return Var(ADDR_PENDING)
        return state.value.addr(resolve) if state.value else Var(ADDR_NEG)

    leaf = Leaf(Bound(id_, found.flat_map(addr), residual))

    def tree(state: State[Members]) -> State[NameTree[Path | Bound]]:
        if not isinstance(state, Ok):
            return state
        return Ok(leaf if state.value else NEG)

    return found.map(tree)


def _like(member: Address, addr: Var[Addr]) -> Var[Addr]:
    def change(found: Addr) -> Addr:
        if not isinstance(found, AddrBound):
            return found
        return AddrBound(frozenset(replace(member, host=one.host) for one in found.addresses))

    return addr.map(change)


def _with_authority(addr: Addr, authority: str | None) -> Addr:
    return replace(addr, authority=authority) if isinstance(addr, AddrBound) else addr
