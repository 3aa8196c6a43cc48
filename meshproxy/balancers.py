"""Which endpoint gets the next request: power of two choices, by least load or Peak EWMA.

Weights of addresses are not looked at here: a balancer sees one class of equal nodes
(finagle: loadbalancer/p2c/P2CPick.scala, loadbalancer/Balancer.scala).
"""

import random as _random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from meshproxy.config.bases import BalancerConfig
from meshproxy.config.model import key
from meshproxy.errors import NoHosts
from meshproxy.ewma import LeastLoaded, Load, PeakEwma
from meshproxy.metrics.tree import Tree


class Node(Protocol):
    """An endpoint as a balancer sees it."""

    @property
    def is_open(self) -> bool:
        """It takes requests: neither dead, nor being probed, nor closed."""
        ...

    @property
    def is_closed(self) -> bool:
        """It is gone for good; one that is neither open nor closed is busy."""
        ...

    @property
    def load(self) -> Load:
        """What it carries."""
        ...


N = TypeVar("N", bound=Node)


class Balancer(Protocol[N]):
    """Chooses among nodes that change over time."""

    nodes: tuple[N, ...]
    """The present set, in the order it was given."""

    def update(self, nodes: Sequence[N]) -> None:
        """Choose among *nodes* from now on; who stays keeps its state, which is the node's own."""
        ...

    def pick(self) -> N:
        """The node for one request. Raises `NoHosts` when there are none.

        Fails open: with every node down, one of them is picked all the same.
        """
        ...


def two_choices(nodes: Sequence[N], bound: int, draw_a: int, draw_b: int) -> N:
    """The better of two different nodes among the first *bound*. Raises `NoHosts` when that is 0.

    *draw_a* is below *bound*; *draw_b* is below *bound* - 1 and counts past the first draw.
    """
    if bound < 2:
        if not bound:
            raise NoHosts("No hosts are available: the set of endpoints is empty")
        return nodes[0]
    first = nodes[draw_a]
    second = nodes[draw_b + 1 if draw_b >= draw_a else draw_b]
    is_open = first.is_open
    if is_open is not second.is_open:
        return first if is_open else second
    if not is_open and first.is_closed is not second.is_closed:
        return second if first.is_closed else first
    return first if first.load.value() <= second.load.value() else second


class P2c(Generic[N]):
    """Two nodes are drawn and the better one taken; drawn again when that one is not open."""

    def __init__(
        self,
        metrics: Tree,
        algorithm: str,
        max_effort: int = 5,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.nodes: tuple[N, ...] = ()
        self._random = random
        self._efforts = range(max_effort)
        self._exhausted = metrics.counter("max_effort_exhausted")
        self._adds = metrics.counter("adds")
        self._removes = metrics.counter("removes")
        self._updates = metrics.counter("updates")
        self._rebuilds = metrics.counter("rebuilds")
        self._show(metrics, algorithm)

    def update(self, nodes: Sequence[N]) -> None:
        """Choose among *nodes* from now on."""
        before, after = {id(node) for node in self.nodes}, {id(node) for node in nodes}
        self.nodes = tuple(nodes)
        self._adds.incr(len(after - before))
        self._removes.incr(len(before - after))
        self._updates.incr()
        self._rebuilds.incr()

    def pick(self) -> N:
        """The node for one request. Raises `NoHosts` when there are none."""
        nodes, random = self.nodes, self._random
        bound = len(nodes)
        if bound == 1 and nodes[0].is_open:
            return nodes[0]
        others = bound - 1 or 1
        pairs = bound * others
        for _ in self._efforts:
            draw = int(random() * pairs)
            node = two_choices(nodes, bound, draw // others, draw % others)
            if node.is_open:
                return node
        self._exhausted.incr()
        draw = int(random() * pairs)
        return two_choices(nodes, bound, draw // others, draw % others)

    def _show(self, metrics: Tree, algorithm: str) -> None:
        metrics.gauge("algorithm", algorithm, fn=lambda: 1.0, together="max")
        metrics.gauge("size", fn=lambda: len(self.nodes))
        metrics.gauge("available", fn=lambda: sum(node.is_open for node in self.nodes))
        metrics.gauge("closed", fn=lambda: sum(node.is_closed for node in self.nodes))
        metrics.gauge("load", fn=lambda: sum(node.load.pending for node in self.nodes))
        metrics.gauge(
            "busy",
            fn=lambda: sum(not (node.is_open or node.is_closed) for node in self.nodes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class P2cConfig(BalancerConfig):
    """The less loaded of two endpoints drawn at random."""

    kind: ClassVar[str] = "p2c"
    algorithm: ClassVar[str] = "p2c_least_loaded"
    max_effort: int = key(
        default=5, minimum=0, doc="Draws before an endpoint that is down is used all the same."
    )

    def build(self, metrics: Tree, random: Callable[[], float] = _random.random) -> Balancer[Node]:
        """A balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        return P2c(metrics, self.algorithm, self.max_effort, random)

    def new_load(self) -> Load:
        """What an endpoint of this balancer counts its load with."""
        return LeastLoaded()


@dataclass(frozen=True, slots=True, kw_only=True)
class EwmaConfig(P2cConfig):
    """The better of two endpoints drawn at random, by latency times requests in flight."""

    kind: ClassVar[str] = "ewma"
    algorithm: ClassVar[str] = "p2c_peak_ewma"
    decay_time_ms: int = key(
        default=10_000, minimum=1, doc="Milliseconds after which a latency counts by a third."
    )

    def new_load(self) -> Load:
        """What an endpoint of this balancer counts its load with."""
        return PeakEwma(self.decay_time_ms)
