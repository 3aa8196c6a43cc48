"""The common part of transformers: a prefix for every id, and other addresses.

(linkerd: namer/core/.../{Modifying,Filtering,Replace}NameTreeTransformer.scala)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import BoundTree
from meshproxy.naming.path import Path
from meshproxy.var import Var

Change = Callable[[Var[Addr]], Var[Addr]]


@dataclass(frozen=True, slots=True)
class LeafTransformer:
    """Gives every bound name in a tree another id and other addresses, in the same shape."""

    prefix: Path
    change: Change
    redirects: bool = False
    """True if the addresses are chosen by the configuration rather than by the bound name."""

    def transform(self, tree: BoundTree) -> BoundTree:
        """Returns the changed tree; a tree without bound names is returned unchanged."""
        return tree.map(self._changed)

    def _changed(self, bound: Bound) -> Bound:
        chosen_by = ChosenBy.NAMER if self.redirects else bound.chosen_by
        return replace(
            bound, id=self.prefix + bound.id, addr=self.change(bound.addr), chosen_by=chosen_by
        )


def keeping(keep: Callable[[Address], bool]) -> Change:
    """Returns a change that keeps some addresses; a name that loses all of them is negative."""
    return lambda addr: addr.map(lambda now: kept(now, keep))


def kept(addr: Addr, keep: Callable[[Address], bool]) -> Addr:
    """Returns the part of *addr* to keep; negative if there is none."""
    if not isinstance(addr, AddrBound):
        return addr
    return some(replace(addr, addresses=frozenset(filter(keep, addr.addresses))))


def some(addr: AddrBound) -> Addr:
    """Returns *addr*; negative if it has no addresses."""
    return addr if addr.addresses else ADDR_NEG
