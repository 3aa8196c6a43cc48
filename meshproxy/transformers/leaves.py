"""What all transformers do alike: a prefix before every id, other addresses behind it.

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
    """Gives every bound name of a tree another id and other addresses, in the same shape."""

    prefix: Path
    change: Change
    redirects: bool = False
    """The addresses behind it are not those of the bound name, but the configuration's choice."""

    def transform(self, tree: BoundTree) -> BoundTree:
        """Return the changed tree; without bound names it is the same."""
        return tree.map(self._changed)

    def _changed(self, bound: Bound) -> Bound:
        chosen_by = ChosenBy.NAMER if self.redirects else bound.chosen_by
        return Bound(self.prefix + bound.id, self.change(bound.addr), bound.residual, chosen_by)


def keeping(keep: Callable[[Address], bool]) -> Change:
    """Keep some addresses; a name that loses all of them is bound to nothing."""
    return lambda addr: addr.map(lambda now: kept(now, keep))


def kept(addr: Addr, keep: Callable[[Address], bool]) -> Addr:
    """Return the part of *addr* to keep, negative when that is nothing."""
    if not isinstance(addr, AddrBound):
        return addr
    return some(replace(addr, addresses=frozenset(filter(keep, addr.addresses))))


def some(addr: AddrBound) -> Addr:
    """Return *addr*, negative when it has no addresses."""
    return addr if addr.addresses else ADDR_NEG
