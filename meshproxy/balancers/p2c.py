"""Power of two choices: the better of two endpoints drawn at random.

finagle: loadbalancer/p2c/{P2C,P2CPick}.scala.
"""

import random as _random
from collections.abc import Callable, Sequence
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


def two_choices(nodes: Sequence[N], bound: int, draw_a: int, draw_b: int) -> N:
    """Returns the better of two different nodes among the first *bound*. Raises `NoHosts` if 0.

    *draw_a* is below *bound*; *draw_b* is below *bound* - 1 and skips the first draw.
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


class P2c(Selection[N]):
    """Draws two candidates and takes the better one; draws again if it is not open."""

    def __init__(
        self,
        metrics: Tree,
        max_effort: int = MAX_EFFORT,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(metrics, max_effort)
        self._random = random

    def _draw(self) -> N:
        nodes = self.candidates
        bound = len(nodes)
        if bound == 1:
            return nodes[0]
        others = bound - 1
        draw = int(self._random() * (bound * others))
        return two_choices(nodes, bound, draw // others, draw % others)


@dataclass(frozen=True, slots=True, kw_only=True)
class P2cConfig(SelectionConfig):
    """The less loaded of two endpoints drawn at random."""

    kind: ClassVar[str] = "p2c"
    algorithm: ClassVar[str] = "p2c_least_loaded"

    def build(self, metrics: Tree, random: Callable[[], float] = _random.random) -> Balancer[Node]:
        """Returns a balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        return P2c(metrics, self.max_effort, random)
