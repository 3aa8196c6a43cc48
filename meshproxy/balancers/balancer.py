"""Balancer, Node, and the drawing loop that most kinds share.

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
    """An endpoint as seen by a balancer."""

    @property
    def is_open(self) -> bool:
        """True if it accepts requests: not dead, not being probed, not closed."""
        ...

    @property
    def is_closed(self) -> bool:
        """True if it is closed for good; if it is neither open nor closed, it is busy."""
        ...

    @property
    def load(self) -> Load:
        """Its load."""
        ...

    @property
    def weight(self) -> float:
        """Its share of the requests relative to the others."""
        ...


N = TypeVar("N", bound=Node)
N_co = TypeVar("N_co", bound=Node, covariant=True)


class Picker(Protocol[N_co]):
    """Picks endpoints, however they are organised."""

    def pick(self) -> N_co:
        """Returns the node for one request. Raises `NoHosts` if there are none.

        Fails open: if every node is down, one of them is picked anyway.
        """
        ...


class Balancer(Picker[N], Protocol[N]):
    """Chooses among nodes that change over time."""

    def update(self, nodes: Sequence[N]) -> None:
        """Replaces the nodes to choose among; nodes that stay keep their state."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """Returns the gauges of this kind, by name, in addition to those of every balancer."""
        ...


class Selection(Generic[N]):
    """Draws until an open node is found, at most *max_effort* times.

    A kind defines the order of the nodes, `_arranged`, and how one is drawn, `_draw`.
    *metrics* is the client's scope `loadbalancer`.
    """

    def __init__(self, metrics: Tree, max_effort: int = MAX_EFFORT) -> None:
        self.nodes: tuple[N, ...] = ()
        """The present nodes in the order given."""
        self.candidates: Sequence[N] = ()
        """The nodes that are drawn from."""
        self._max_effort = max_effort
        self._exhausted = metrics.counter("max_effort_exhausted")
        self._rebuilds = metrics.counter("rebuilds")

    def update(self, nodes: Sequence[N]) -> None:
        """Replaces the nodes to choose among."""
        self.nodes = tuple(nodes)
        self.rebuild()

    def rebuild(self) -> None:
        """Arranges the nodes by their present state."""
        self._rebuilds.value += 1
        self.candidates = self._arranged()

    def pick(self) -> N:
        """Returns the node for one request. Raises `NoHosts` if there are none."""
        node = self._draw()
        return node if node.is_open and self._max_effort else self._pick_again()

    def _pick_again(self) -> N:
        """Picks after a first draw that was in vain."""
        for _ in range(1, self._max_effort):
            node = self._draw()
            if node.is_open:
                return node
        self._exhausted.value += 1
        self.rebuild()
        return self._draw()

    def gauges(self) -> Mapping[str, float]:
        """Returns no gauges."""
        return {}

    def _arranged(self) -> Sequence[N]:
        return self.nodes

    def _draw(self) -> N:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionConfig(BalancerConfig):
    """The keys shared by kinds that draw endpoints one by one."""

    max_effort: int = key(
        default=MAX_EFFORT,
        minimum=0,
        doc="Draws before an endpoint that is down is used anyway.",
    )

    def new_load(self) -> Load:
        """Returns the load counter for an endpoint of this balancer."""
        return LeastLoaded()
