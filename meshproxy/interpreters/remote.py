"""Names that a remote interpreter binds to ids, and the addresses of these ids.

linkerd: interpreter/namerd/.../StreamingNamerClient.scala, interpreter/mesh/.../Client.scala
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from meshproxy.discovery.namerd import BoundName
from meshproxy.discovery.watching.watch import Watch, Watches
from meshproxy.naming.addr import ADDR_PENDING, Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import BoundTree, Transformer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var


class Question(NamedTuple):
    """A name to bind, and the dtab to use behind the one that is kept there."""

    dtab: Dtab
    path: Path

    def show(self) -> str:
        """Returns the path, and the dtab if there is one."""
        return f"{self.path.show()} {self.dtab.show()}".rstrip()


TreeWatch: TypeAlias = Watch[NameTree[BoundName]]


class RemoteInterpreter:
    """Binds names by *watch_tree*, and follows their addresses by *watch_addr*.

    Until the first answer a name is pending; after it the last answer stays.
    """

    def __init__(
        self,
        transformers: Sequence[Transformer],
        watch_tree: Callable[[Question], TreeWatch],
        watch_addr: Callable[[Path], Watch[Addr]],
    ) -> None:
        self._transformers = transformers
        self.trees: Watches[Question, NameTree[BoundName]] = Watches(watch_tree)
        """The names in use."""
        self.addrs: Watches[Path, Addr] = Watches(watch_addr)
        """The bound ids in use."""

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows what *path* is bound to."""
        bounds: dict[BoundName, Bound] = {}

        def bound(name: BoundName) -> Bound:
            if name not in bounds:
                bounds[name] = self.bound(name)
            return bounds[name]

        def tree(state: State[NameTree[BoundName]]) -> State[BoundTree]:
            if not isinstance(state, Ok):
                return state
            found = state.value.map(bound)
            for gone in bounds.keys() - set(_leaves(state.value)):
                del bounds[gone]
            return Ok(found)

        return self.transformed(self.trees.follow(Question(dtab, path)).map(tree))

    def followed(self) -> Iterator[Followed]:
        """Yields what is known of each name and each bound id in use, in brief."""
        yield from self.trees.followed()
        yield from self.addrs.followed()

    def bound(self, name: BoundName) -> Bound:
        """Returns a bound name with its addresses."""
        return Bound(name.id, self.addrs.follow(name.id).map(_addr), name.residual)

    def transformed(self, found: Activity[BoundTree]) -> Activity[BoundTree]:
        """Returns *found* as all transformers change it."""
        for transformer in self._transformers:
            found = _transformed(transformer, found)
        return found


def shown(tree: NameTree[BoundName]) -> str:
    """Returns a tree as text for operators."""
    return tree.map(lambda name: name.id + name.residual).show()


def _addr(state: State[Addr]) -> Addr:
    return state.value if isinstance(state, Ok) else ADDR_PENDING


def _leaves(tree: NameTree[BoundName]) -> list[BoundName]:
    leaves: list[BoundName] = []
    tree.map(leaves.append)
    return leaves


def _transformed(transformer: Transformer, found: Activity[BoundTree]) -> Activity[BoundTree]:
    def change(state: State[BoundTree]) -> Activity[BoundTree]:
        if not isinstance(state, Ok):
            return Var(state)
        changed = transformer.transform(state.value)
        return changed if isinstance(changed, Var) else Var(Ok(changed))

    return found.flat_map(change)
