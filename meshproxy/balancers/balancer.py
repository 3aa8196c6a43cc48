"""What a balancer is, what it chooses among, and the loop by which most kinds choose.

finagle: loadbalancer/Balancer.scala.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from meshproxy.config.bases import BalancerConfig
from meshproxy.config.model import key
from meshproxy.ewma import LeastLoaded, Load
from meshproxy.metrics.tree import Tree

MAX_EFFORT: Final = 5


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

    @property
    def weight(self) -> float:
        """Its share of the requests, beside that of the others."""
        ...


N = TypeVar("N", bound=Node)
N_co = TypeVar("N_co", bound=Node, covariant=True)


class Picker(Protocol[N_co]):
    """Picks endpoints, no matter how they are kept."""

    def pick(self) -> N_co:
        """The node for one request. Raises `NoHosts` when there are none.

        Fails open: with every node down, one of them is picked all the same.
        """
        ...


class Balancer(Picker[N], Protocol[N]):
    """Chooses among nodes that change over time."""

    def update(self, nodes: Sequence[N]) -> None:
        """Choose among *nodes* from now on; who stays keeps its state, which is the node's own."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """The numbers that this kind shows beside those of every balancer, by name."""
        ...


class Selection(Generic[N]):
    """Draws until an open node turns up, at most *max_effort* times.

    A kind says in which order nodes stand, `_arranged`, and how one is drawn, `_draw`.
    *metrics* is the client's scope `loadbalancer`.
    """

    def __init__(self, metrics: Tree, max_effort: int = MAX_EFFORT) -> None:
        self.nodes: tuple[N, ...] = ()
        """The present set, in the order it was given."""
        self.candidates: Sequence[N] = ()
        """Those that draws are from."""
        self._efforts = range(max_effort)
        self._exhausted = metrics.counter("max_effort_exhausted")
        self._rebuilds = metrics.counter("rebuilds")

    def update(self, nodes: Sequence[N]) -> None:
        """Choose among *nodes* from now on."""
        self.nodes = tuple(nodes)
        self.rebuild()

    def rebuild(self) -> None:
        """Arrange the nodes by what they are now."""
        self._rebuilds.value += 1
        self.candidates = self._arranged()

    def pick(self) -> N:
        """The node for one request. Raises `NoHosts` when there are none."""
        for _ in self._efforts:
            node = self._draw()
            if node.is_open:
                return node
        self._exhausted.value += 1
        self.rebuild()
        return self._draw()

    def gauges(self) -> Mapping[str, float]:
        """Nothing of its own."""
        return {}

    def _arranged(self) -> Sequence[N]:
        return self.nodes

    def _draw(self) -> N:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionConfig(BalancerConfig):
    """What the kinds that draw endpoints one by one have in common."""

    max_effort: int = key(
        default=MAX_EFFORT,
        minimum=0,
        doc="Draws before an endpoint that is down is used all the same.",
    )

    def new_load(self) -> Load:
        """What an endpoint of this balancer counts its load with."""
        return LeastLoaded()
