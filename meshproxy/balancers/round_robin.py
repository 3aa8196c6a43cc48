"""One endpoint after the other (finagle: loadbalancer/roundrobin/RoundRobinBalancer.scala)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.balancers.balancer import (
    MAX_EFFORT,
    Balancer,
    N,
    Node,
    Selection,
    SelectionConfig,
)
from meshproxy.errors import NoHosts
from meshproxy.metrics.tree import Tree


class RoundRobin(Selection[N]):
    """Rotates over the open nodes, or over all if none is open.

    The rotation continues at its position when nodes go down or come back.
    """

    def __init__(self, metrics: Tree, max_effort: int = MAX_EFFORT) -> None:
        super().__init__(metrics, max_effort)
        self._down: Sequence[N] = ()
        self._turn = 0

    def _arranged(self) -> Sequence[N]:
        up = [node for node in self.nodes if node.is_open]
        self._down = [node for node in self.nodes if not node.is_open]
        return up or self._down

    def _draw(self) -> N:
        if self._down and any(node.is_open for node in self._down):
            self.rebuild()
        nodes = self.candidates
        if not nodes:
            raise NoHosts("No hosts are available: the set of endpoints is empty")
        node = nodes[self._turn % len(nodes)]
        self._turn += 1
        if not node.is_open and nodes is not self._down:
            self.rebuild()
        return node


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobinConfig(SelectionConfig):
    """One endpoint after the other."""

    kind: ClassVar[str] = "roundRobin"
    algorithm: ClassVar[str] = "round_robin"

    def build(self, metrics: Tree) -> Balancer[Node]:
        """Returns a balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        return RoundRobin(metrics, self.max_effort)
