"""The common part of ZooKeeper namers: names are paths of nodes that have members."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from meshproxy.discovery.members import Members, Resolve
from meshproxy.discovery.zookeeper.membership import Found, Membership, Segments
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Ok, State, Var

if TYPE_CHECKING:
    from meshproxy.discovery.zookeeper.nodes import Nodes

T = TypeVar("T")

NOBODY: Final = Members()


def nodes_at(
    servers: Iterable[tuple[str, int]],
    resolve: Resolve,
    membership: Membership[T],
    metrics: Tree,
) -> "Nodes[T]":
    """Returns the nodes of the ensemble of these hosts and ports."""
    from meshproxy.discovery.zookeeper.ensemble import ensemble_at  # noqa: PLC0415 (kazoo is extra)
    from meshproxy.discovery.zookeeper.nodes import Nodes  # noqa: PLC0415 (kazoo is extra)

    return Nodes(ensemble_at(servers, resolve), membership, metrics.scope("node"))


class NodeNamer(Generic[T]):
    """Names are paths of nodes; the deepest one that has members is meant, the rest is residual.

    Its *members* come of the segment that names it, as asked, and of what was found. Without any on
    the way a name is negative; it is pending until the ensemble has answered. Paths begin at the
    node *base*, and at most *length* segments of a name count.
    """

    def __init__(
        self,
        prefix: Path,
        nodes: "Nodes[T]",
        members: Callable[[str, Found[T]], Members],
        resolve: Resolve,
        *,
        shorten: Callable[[str], str] = str,
        base: Segments = (),
        length: int | None = None,
        chosen_by: ChosenBy = ChosenBy.NAMER,
    ) -> None:
        self.prefix = prefix
        self.nodes = nodes
        self._members = members
        self._resolve = resolve
        self._chosen_by = chosen_by
        self._shorten = shorten
        self._base = base
        self._length = length

    def lookup(self, path: Path) -> Lookup:
        """Answers with the members of the deepest node on the way *path* that has some."""
        try:
            way = tuple(segment.decode() for segment in path[: self._length])
        except UnicodeDecodeError:
            return NEG
        found = self.nodes.along(self._base + way, self._shorten)

        def addr_at(depth: int) -> Var[Addr]:
            return found.map(lambda state: self._at(depth, way, state)).flat_map(self._addr)

        def tree(state: State[tuple[Found[T], ...]]) -> State[NameTree[Path | Bound]]:
            if not isinstance(state, Ok):
                return state
            for depth in range(len(state.value) - 1 - len(self._base), 0, -1):
                if self._at(depth, way, state):
                    bound_id, rest = self.prefix + path.take(depth), path.drop(depth)
                    return Ok(Leaf(Bound(bound_id, addr_at(depth), rest, self._chosen_by)))
            return Ok(NEG)

        return found.map(tree)

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of each node that is in use."""
        return self.nodes.describe()

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        return self.nodes.followed()

    def _at(self, depth: int, way: Segments, state: State[tuple[Found[T], ...]]) -> Members | None:
        """Returns the members of the node at *depth* below the base; None if it is not known."""
        if not isinstance(state, Ok):
            return None
        below = state.value[len(self._base) :]
        return self._members(way[depth - 1], below[depth]) if depth < len(below) else NOBODY

    def _addr(self, members: Members | None) -> Var[Addr]:
        if members is None:
            return Var(ADDR_PENDING)
        return members.addr(self._resolve) if members else Var(ADDR_NEG)
