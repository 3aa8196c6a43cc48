"""Power of two choices within an aperture: as many endpoints as the load needs.

Few of many endpoints are then in use, each with warm connections (finagle:
loadbalancer/aperture/{Aperture,ApertureLeastLoaded,Expiration}.scala).
"""

import math
import random as _random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Final, Protocol, TypeVar

from meshproxy.balancers.balancer import MAX_EFFORT, Balancer, SelectionConfig
from meshproxy.balancers.followed_load import FollowedLoad, FollowedNode, follow
from meshproxy.balancers.load_band import LoadBand
from meshproxy.balancers.p2c import P2c
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.ewma import Load
from meshproxy.metrics.tree import Tree
from meshproxy.net.wheel import wheel

LOOK_SECONDS: Final = 30.0
"""Time between two checks of endpoints outside the aperture; idle at both, they are closed."""


class WindowNode(FollowedNode, Protocol):
    """An endpoint that may be outside an aperture."""

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        ...


N = TypeVar("N", bound=WindowNode)


class Aperture(P2c[N]):
    """Chooses among the first nodes in an order of its own: open ones first, then at random."""

    deadline = math.inf
    filed_until = math.inf

    def __init__(
        self,
        metrics: Tree,
        band: LoadBand,
        max_effort: int = MAX_EFFORT,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(metrics, max_effort, random)
        self._band = band
        self._lots: dict[N, float] = {}
        self._ranked: list[N] = []
        self._down: list[N] = []
        self._idle: set[N] = set()
        self._expired = metrics.counter("expired")
        self._widen = metrics.counter("loadband", "widen")
        self._narrow = metrics.counter("loadband", "narrow")

    def update(self, nodes: Sequence[N]) -> None:
        """Replaces the nodes to choose among; the aperture keeps its width."""
        follow(self, self.nodes, nodes)
        lots = self._lots
        self._lots = {node: lots[node] if node in lots else self._random() for node in nodes}
        self._band.resize(len(nodes), sum(node.load.pending for node in nodes))
        super().update(nodes)
        if self.filed_until == math.inf:
            self._look_later()

    def changed(self, load: FollowedLoad, by: int) -> None:
        """Counts a request in or out, which may change the aperture."""
        del load
        step = self._band.change(by)
        if step:
            (self._widen if step > 0 else self._narrow).value += 1
            self.candidates = self._ranked[: self._band.width]

    def expire(self) -> None:
        """Closes connections of nodes outside that are idle for the second time; for the wheel."""
        idle = {node for node in self._ranked[self._band.width :] if not node.load.pending}
        self._expired.incr(sum(node.close_idle() > 0 for node in idle & self._idle))
        self._idle = idle
        self._look_later()

    def gauges(self) -> Mapping[str, float]:
        """Returns the width of the aperture, and the load that decides it."""
        return {
            "logical_aperture": self._band.width,
            "physical_aperture": len(self.candidates),
            "loadband/offered_load_ema": self._band.ema,
        }

    def _arranged(self) -> Sequence[N]:
        lots = self._lots
        self._down = [node for node in self.nodes if not node.is_open]
        down = set(self._down)
        self._ranked = sorted(
            self.nodes, key=lambda node: (node in down, node.is_closed, lots[node])
        )
        return self._ranked[: self._band.width]

    def _draw(self) -> N:
        if self._down and any(node.is_open for node in self._down):
            self.rebuild()
        return super()._draw()

    def _look_later(self) -> None:
        if len(self.nodes) > 1:
            self.deadline = monotonic() + LOOK_SECONDS
            wheel.file(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApertureConfig(SelectionConfig):
    """The less loaded of two endpoints drawn at random from as many as the load needs."""

    kind: ClassVar[str] = "aperture"
    algorithm: ClassVar[str] = "aperture_least_loaded"
    smooth_window_ms: int = key(
        default=5000, minimum=1, doc="Milliseconds over which the load is smoothed."
    )
    low_load: float = key(
        default=0.5,
        minimum=0,
        quoted=True,
        doc="Mean load of an endpoint at which the window narrows.",
    )
    high_load: float = key(
        default=2.0,
        minimum=0,
        quoted=True,
        doc="Mean load of an endpoint at which the window widens.",
    )
    min_aperture: int = key(default=1, minimum=1, doc="The least width of the window.")

    def check(self) -> Iterable[Problem]:
        """Yields a problem if lowLoad is not below highLoad."""
        if self.low_load >= self.high_load:
            what = f"{self.low_load:g} is not less than highLoad, {self.high_load:g}"
            yield Problem(what, key="lowLoad")

    def build(
        self, metrics: Tree, random: Callable[[], float] = _random.random
    ) -> Balancer[WindowNode]:
        """Returns a balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        window_s = self.smooth_window_ms / 1000
        band = LoadBand(self.low_load, self.high_load, window_s, self.min_aperture)
        return Aperture(metrics, band, self.max_effort, random)

    def new_load(self) -> Load:
        """Returns the load counter for an endpoint of this balancer."""
        return FollowedLoad()
