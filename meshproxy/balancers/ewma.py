"""Power of two choices by Peak EWMA (finagle: loadbalancer/PeakEwma.scala)."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.balancers.p2c import P2cConfig
from meshproxy.config.model import key
from meshproxy.ewma import Load, PeakEwma


@dataclass(frozen=True, slots=True, kw_only=True)
class EwmaConfig(P2cConfig):
    """The better of two endpoints drawn at random, by latency times requests in flight."""

    kind: ClassVar[str] = "ewma"
    algorithm: ClassVar[str] = "p2c_peak_ewma"
    decay_time_ms: int = key(
        default=10_000, minimum=1, doc="Milliseconds after which the weight of a latency is 1/e."
    )

    def new_load(self) -> Load:
        """Returns the load counter for an endpoint of this balancer."""
        return PeakEwma(self.decay_time_ms)
