"""Endpoints grouped by weight; each group of equal weight has a balancer.

finagle: loadbalancer/distributor/{TrafficDistributor,Distributor}.scala.
"""

import random as _random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Generic

from meshproxy.balancers.balancer import Balancer, N, Picker
from meshproxy.metrics.tree import Tree


class WeightClasses(Generic[N]):
    """The endpoints of a client, and the balancers from *new_balancer* that choose among them.

    A group is drawn with the probability of its weight times its size. If it has no open node, the
    next heavier group that has one is used. *metrics* is the client's scope `loadbalancer`, where
    *algorithm* is shown.
    """

    def __init__(
        self,
        metrics: Tree,
        algorithm: str,
        new_balancer: Callable[[], Balancer[N]],
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.nodes: tuple[N, ...] = ()
        """All endpoints in the order given."""
        self._new_balancer = new_balancer
        self._random = random
        self._classes: dict[float, Balancer[N]] = {1.0: new_balancer()}
        self._members: list[tuple[Balancer[N], Sequence[N]]] = []
        self._shares: list[float] = []
        self._adds = metrics.counter("adds")
        self._removes = metrics.counter("removes")
        self._updates = metrics.counter("updates")
        self._busy = metrics.counter("busy_weight_classes")
        self._show(metrics, algorithm)

    def update(self, nodes: Sequence[N]) -> Picker[N]:
        """Replaces the nodes; returns the picker to use: this, or the balancer of the only group.

        The latter makes a pick as cheap as that balancer's own.
        """
        before, after = set(map(id, self.nodes)), set(map(id, nodes))
        self._adds.value += len(after - before)
        self._removes.value += len(before - after)
        self._updates.value += 1
        self.nodes = tuple(nodes)
        self._regroup(_by_weight(self.nodes))
        return self._members[0][0] if len(self._members) == 1 else self

    def pick(self) -> N:
        """Returns the node for one request, from the group drawn. Fails open like a balancer."""
        last = len(self._shares) - 1
        drawn = min(bisect_right(self._shares, self._random() * self._shares[-1]), last)
        balancer, nodes = self._members[drawn]
        if not _has_open(nodes):
            self._busy.value += 1
            others = self._members[drawn + 1 :] + self._members[:drawn]
            balancer = next((other for other, nodes in others if _has_open(nodes)), balancer)
        return balancer.pick()

    def size(self) -> int:
        """Returns the number of nodes."""
        return len(self.nodes)

    def any_open(self) -> bool:
        """Returns True if any node takes requests."""
        return _has_open(self.nodes)

    def _regroup(self, groups: Mapping[float, Sequence[N]]) -> None:
        classes = self._classes
        for weight in classes.keys() - groups.keys():
            classes[weight].update(())
        self._classes = {
            weight: classes.get(weight) or self._new_balancer() for weight in sorted(groups)
        }
        self._members = [(one, groups[weight]) for weight, one in self._classes.items()]
        self._shares = list(accumulate(weight * len(groups[weight]) for weight in self._classes))
        for balancer, nodes in self._members:
            balancer.update(nodes)

    def _show(self, metrics: Tree, algorithm: str) -> None:
        metrics.gauge("algorithm", algorithm, fn=lambda: 1.0, together="max")
        classes = "num_weight_classes"
        metrics.gauge(classes, fn=lambda: len(self._classes) if self.nodes else 0, together="max")
        metrics.gauge("size", fn=self.size)
        metrics.gauge("available", fn=lambda: sum(node.is_open for node in self.nodes))
        metrics.gauge("closed", fn=lambda: sum(node.is_closed for node in self.nodes))
        metrics.gauge("load", fn=lambda: sum(node.load.pending for node in self.nodes))
        metrics.gauge(
            "busy",
            fn=lambda: sum(not (node.is_open or node.is_closed) for node in self.nodes),
        )
        for name in self._classes[1.0].gauges():
            metrics.gauge(*name.split("/"), fn=partial(self._sum, name))

    def _sum(self, name: str) -> float:
        return sum(balancer.gauges()[name] for balancer in self._classes.values())


def _by_weight(nodes: Sequence[N]) -> Mapping[float, Sequence[N]]:
    """Returns the nodes of each weight; there is one group at least."""
    weights = {node.weight for node in nodes} or {1.0}
    if len(weights) == 1:
        return {weights.pop(): nodes}
    groups: dict[float, list[N]] = {weight: [] for weight in weights}
    for node in nodes:
        groups[node.weight].append(node)
    return groups


def _has_open(nodes: Sequence[N]) -> bool:
    return any(node.is_open for node in nodes)
