"""What is measured, and what it is measured against."""

from dataclasses import dataclass
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """The ratio of our CPU time for each request to that of *peer*."""

    peer: str
    must: float
    aim: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of load: *path* of the upstream, asked for on *connections* at once."""

    path: str = "/small"
    connections: int = 32
    sent: int = 0
    """Bytes of each request's body."""
    pipelined: int = 1
    """Requests sent at once on a connection."""
    over_tls: bool = False
    """The proxy speaks TLS to the upstream."""
    by_latency: bool = False
    """The goal is about the median latency, not about CPU time."""
    goals: tuple[Goal, ...] = ()

    def peers(self) -> tuple[str, ...]:
        """Whom the goals are about."""
        return tuple(goal.peer for goal in self.goals)


SCENARIOS: Final = {
    "small": Scenario(
        goals=(
            Goal("envoy", 0.90, 0.70),
            Goal("proxy.py", 0.55, 0.42),
            Goal("relay", 3.1, 2.4),
        )
    ),
    "small-c256": Scenario(connections=256, goals=(Goal("envoy", 0.90, 0.70),)),
    "small-c1": Scenario(connections=1, by_latency=True, goals=(Goal("envoy", 0.90, 0.60),)),
    "10k": Scenario(path="/10k", goals=(Goal("envoy", 0.90, 0.70),)),
    "chunked": Scenario(path="/chunked", goals=(Goal("envoy", 0.90, 0.70),)),
    "post10k": Scenario(path="/post", sent=10_240, goals=(Goal("envoy", 0.90, 0.70),)),
    "1m": Scenario(path="/1m", connections=8, goals=(Goal("haproxy", 0.80, 0.60),)),
    "post1m": Scenario(
        path="/post", connections=8, sent=1_048_576, goals=(Goal("envoy", 0.90, 0.60),)
    ),
    "tls-small": Scenario(over_tls=True, goals=(Goal("envoy", 0.90, 0.65),)),
    "tls-1m": Scenario(
        path="/1m", connections=8, over_tls=True, goals=(Goal("envoy", 1.25, 1.05),)
    ),
}
IDLE_GOAL: Final = Goal("envoy", 1.0, 0.75)
"""Of the memory of an idle connection."""
MEMORY_GOAL_MB: Final = (45, 35)
"""Must and aim: resident after the start with the features of conf/egress.yaml, no Kubernetes."""
