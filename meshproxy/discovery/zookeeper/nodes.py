"""Nodes of ZooKeeper, followed as they change.

A name from a client is looked up in the children of the deepest node that exists on its path. All
names below that node share this list, so a name that is not registered costs no request and no
watch.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from kazoo.client import KazooClient

from meshproxy.backoff import equal_jitter
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats
from meshproxy.discovery.zookeeper.ensemble import AT_ONCE, Ensemble, EnsembleLine
from meshproxy.discovery.zookeeper.membership import Found, Membership, Segments
from meshproxy.metrics.tree import Tree
from meshproxy.naming.followed import Followed
from meshproxy.var import Activity, Ok, State, Var

T = TypeVar("T")

MAX_MEMBERS: Final = 20_000
"""Members that are read of one node."""
ABSENT_S: Final = 1.0
"""How often a node that its parent lists but that is gone is looked up again."""
_BACKOFF: Final = equal_jitter(0.1, 5.0)


@dataclass(frozen=True, slots=True)
class ZooKeeperNode(Generic[T]):
    """A node: the names of its children, and what was read of those that are members."""

    children: frozenset[str]
    members: Mapping[str, T]


class _Step(NamedTuple, Generic[T]):
    """A node on the path of a name."""

    members: Mapping[str, T]
    then: Segments
    """The next node and those after it; empty at the end of the path."""


class Nodes(Generic[T]):
    """The nodes of *ensemble* that are in use, each with one watch for all its users."""

    def __init__(self, ensemble: Ensemble, membership: Membership[T], metrics: Tree) -> None:
        stats = WatchStats(metrics)

        def watch(segments: Segments) -> Watch[ZooKeeperNode[T] | None]:
            return Watch(
                ensemble,
                "/" + "/".join(segments),
                lambda line: _rounds(line, segments, membership),
                line=lambda _moved: EnsembleLine(ensemble),
                backoff=_BACKOFF,
                stats=stats,
                show=_shown,
                style="watch",
            )

        self._watches: Watches[Segments, ZooKeeperNode[T] | None] = Watches(watch)

    @property
    def is_idle(self) -> bool:
        """True if no node is in use."""
        return not self._watches

    def along(
        self, way: Segments, shorten: Callable[[str], str] = str
    ) -> Activity[tuple[Found[T], ...]]:
        """Returns every node that exists on *way*, the root first.

        Where none has the name of a segment, the way ends with the one that has its short form.
        """
        return self._along((), way, shorten, ())

    def describe(self) -> dict[str, Any]:
        """Returns the state of each node in use for human readers, by its path."""
        return self._watches.describe()

    def followed(self) -> Iterator[Followed]:
        """Yields a short form of the same."""
        return self._watches.followed()

    def _along(
        self,
        at: Segments,
        rest: Segments,
        shorten: Callable[[str], str],
        above: tuple[Found[T], ...],
    ) -> Activity[tuple[Found[T], ...]]:
        """Returns *above* and the nodes from *at* on."""

        def here(state: State[ZooKeeperNode[T] | None]) -> State[_Step[T] | None]:
            if not isinstance(state, Ok):
                return state
            node = state.value
            if node is None:
                return Ok(None)
            return Ok(_Step(node.members, _then(node.children, rest, shorten)))

        def below(state: State[_Step[T] | None]) -> Activity[tuple[Found[T], ...]]:
            if not isinstance(state, Ok):
                return Var(state)
            if state.value is None:
                return Var(Ok(above))
            members, then = state.value
            found = (*above, Found(at[-1] if at else "", members))
            return self._along((*at, then[0]), then[1:], shorten, found) if then else Var(Ok(found))

        return self._watches.follow(at).map(here).flat_map(below)


def _then(children: frozenset[str], rest: Segments, shorten: Callable[[str], str]) -> Segments:
    if not rest or rest[0] in children:
        return rest
    short = shorten(rest[0])
    return (short,) if short in children else ()


def _rounds(
    line: EnsembleLine, segments: Segments, membership: Membership[T]
) -> Generator[ZooKeeperNode[T] | None, None, None]:
    reader = _Reader(line, segments, membership)
    try:
        while True:
            line.news.clear()
            node = reader.read()
            yield node
            line.news.wait(ABSENT_S if node is None else None)
    finally:
        line.ensemble.leave(reader.watches)


class _Reader(Generic[T]):
    """Reads a node, after the first time only what has changed."""

    def __init__(self, line: EnsembleLine, segments: Segments, membership: Membership[T]) -> None:
        self._line = line
        self._segments = segments
        self._path = "/" + "/".join(segments)
        self._membership = membership
        self._client: KazooClient | None = None
        self._children: list[str] | None = None
        self._members: dict[str, T | None] = {}
        self._fired: set[str] = set()
        """Members whose watch has fired, which are read again; `""` is the node itself."""

    @property
    def watches(self) -> int:
        """The watches that are set."""
        return len(self._members) + (self._children is not None)

    def read(self) -> ZooKeeperNode[T] | None:
        """Returns the node as it is now; None if it does not exist. Raises `ApiFailure`."""
        client = self._line.client()
        self._forget_changed(client)
        children = self._children
        if children is None:
            ask = partial(client.get_children_async, self._path, watch=partial(self._hear, ""))
            (children,) = self._line.answers(f"children of {self._path}", [ask])
            if children is None:
                return None
            self._children = children
        chosen = self._membership.choose(self._segments, children)
        if len(chosen) > MAX_MEMBERS:
            raise ApiFailure(Reason.TOO_LARGE, f"{len(chosen)} members, over {MAX_MEMBERS}")
        self._read_members(client, [name for name in chosen if name not in self._members])
        found = ((name, self._members.get(name)) for name in chosen)
        return ZooKeeperNode(
            frozenset(children), {name: one for name, one in found if one is not None}
        )

    def _forget_changed(self, client: KazooClient) -> None:
        fired, self._fired = self._fired, set()
        if client is not self._client:
            self._client, self._children, self._members = client, None, {}
        if "" in fired:
            self._children = None
        for name in fired:
            self._members.pop(name, None)

    def _read_members(self, client: KazooClient, unread: Sequence[str]) -> None:
        for at in range(0, len(unread), AT_ONCE):
            names = unread[at : at + AT_ONCE]
            asks = [
                partial(client.get_async, self._under(name), watch=partial(self._hear, name))
                for name in names
            ]
            answers = self._line.answers(f"{len(names)} members of {self._path}", asks)
            for name, answer in zip(names, answers, strict=True):
                if answer is not None:
                    self._members[name] = self._membership.read(name, answer[0])

    def _under(self, name: str) -> str:
        return "/".join(("", *self._segments, name))

    def _hear(self, name: str, _event: object) -> None:
        self._fired.add(name)
        self._line.news.set()


def _shown(node: ZooKeeperNode[Any] | None) -> Any:
    if node is None:
        return None
    return {
        "children": len(node.children),
        "members": {name: str(node.members[name]) for name in sorted(node.members)},
    }
