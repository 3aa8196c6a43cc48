"""The least loaded endpoint of all, exactly.

Finagle keeps a heap (loadbalancer/heap/HeapLeastLoaded.scala). A load changes by one at a time, so
a list of endpoints for each load gives the same choice, at the same cost for any number of them.
"""

import random as _random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar

from meshproxy.balancers.balancer import Balancer
from meshproxy.balancers.followed_load import FollowedLoad, FollowedNode, follow
from meshproxy.config.bases import BalancerConfig
from meshproxy.errors import NoHosts
from meshproxy.ewma import Load
from meshproxy.metrics.tree import Tree

N = TypeVar("N", bound=FollowedNode)
_ASIDE: Final = -1
"""The index of a load that is on no level."""


class Heap(Generic[N]):
    """The least loaded open node, at random among equals; if none is open, the least loaded of all.

    A node found not to be open is set aside until it is.
    """

    def __init__(self, metrics: Tree, random: Callable[[], float] = _random.random) -> None:
        self.nodes: tuple[N, ...] = ()
        """The present nodes in the order given."""
        self._random = random
        self._node_of: dict[FollowedLoad, N] = {}
        self._levels: list[list[FollowedLoad]] = []
        self._least = 0
        """No level below this one has a node."""
        self._aside: list[FollowedLoad] = []
        self._rebuilds = metrics.counter("rebuilds")

    def update(self, nodes: Sequence[N]) -> None:
        """Replaces the nodes to choose among."""
        follow(self, self.nodes, nodes)
        self.nodes = tuple(nodes)
        self._node_of = {node.load: node for node in nodes}
        self._levels, self._aside = [], []
        for load in self._node_of:
            self._enter(load)
        self._rebuilds.value += 1

    def pick(self) -> N:
        """Returns the node for one request. Raises `NoHosts` if there are none."""
        if self._aside:
            self._readmit()
        while len(self._aside) < len(self.nodes):
            level = self._lowest()
            load = level[int(self._random() * len(level))]
            node = self._node_of[load]
            if node.is_open:
                return node
            self._leave(load, load.pending)
            load.place = _ASIDE
            self._aside.append(load)
        if not self.nodes:
            raise NoHosts("No hosts are available: the set of endpoints is empty")
        return self._node_of[min(self._aside, key=lambda load: (load.pending, self._random()))]

    def changed(self, load: FollowedLoad, by: int) -> None:
        """Moves *load* to its new level."""
        if load.place != _ASIDE:
            self._leave(load, load.pending - by)
            self._enter(load)

    def gauges(self) -> Mapping[str, float]:
        """Returns no gauges."""
        return {}

    def _lowest(self) -> list[FollowedLoad]:
        levels = self._levels
        while not levels[self._least]:
            self._least += 1
        return levels[self._least]

    def _enter(self, load: FollowedLoad) -> None:
        levels, pending = self._levels, load.pending
        while len(levels) <= pending:
            levels.append([])
        load.place = len(levels[pending])
        levels[pending].append(load)
        self._least = min(self._least, pending)

    def _leave(self, load: FollowedLoad, pending: int) -> None:
        level = self._levels[pending]
        last = level.pop()
        if last is not load:
            level[load.place] = last
            last.place = load.place

    def _readmit(self) -> None:
        aside, self._aside = self._aside, []
        for load in aside:
            if self._node_of[load].is_open:
                self._enter(load)
            else:
                self._aside.append(load)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapConfig(BalancerConfig):
    """The endpoint with the fewest requests in flight."""

    kind: ClassVar[str] = "heap"
    algorithm: ClassVar[str] = "heap_least_loaded"

    def build(
        self, metrics: Tree, random: Callable[[], float] = _random.random
    ) -> Balancer[FollowedNode]:
        """Returns a balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        return Heap(metrics, random)

    def new_load(self) -> Load:
        """Returns the load counter for an endpoint of this balancer."""
        return FollowedLoad()
