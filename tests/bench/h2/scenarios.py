"""What is measured of HTTP/2: the same loads as for Envoy, HTTP/2 on both sides of the proxy."""

from dataclasses import dataclass
from typing import Final

from tests.bench.scenarios import Goal, Scenario

PEER: Final = "envoy"


@dataclass(frozen=True, slots=True, kw_only=True)
class H2Scenario(Scenario):
    """One kind of load: on each of *connections*, *streams* requests at once."""

    streams: int = 1
    paths: int = 1
    """Different paths that each connection asks for in turn."""
    new_values: int = 0
    """Header fields of each request whose values no request had before."""
    is_grpc: bool = False
    """Each call sends one message of 127 bytes and gets one, and trailers."""


def _goals(must: float, aim: float) -> tuple[Goal, ...]:
    return (Goal(PEER, must, aim),)


SCENARIOS: Final = {
    "1x100": H2Scenario(connections=1, streams=100, goals=_goals(1.00, 0.85)),
    "32x10": H2Scenario(streams=10, goals=_goals(0.95, 0.80)),
    "32x1": H2Scenario(goals=_goals(0.90, 0.75)),
    "200x2": H2Scenario(connections=200, streams=2, goals=_goals(1.00, 0.85)),
    "300-paths": H2Scenario(streams=10, paths=300, goals=_goals(1.00, 0.85)),
    "grpc": H2Scenario(path="/grpc", streams=10, is_grpc=True, goals=_goals(1.00, 0.85)),
    "2-new-values": H2Scenario(connections=1, streams=50, new_values=2, goals=_goals(1.15, 1.00)),
    "10-new-values": H2Scenario(connections=1, streams=50, new_values=10, goals=_goals(1.60, 1.30)),
    "1m": H2Scenario(path="/1m", connections=4, streams=4, goals=_goals(1.15, 1.00)),
    "post1m": H2Scenario(connections=4, streams=4, sent=1_048_576, goals=_goals(1.25, 1.10)),
    "tls-small": H2Scenario(streams=10, over_tls=True, goals=_goals(1.00, 0.90)),
    "tls-1m": H2Scenario(
        path="/1m", connections=4, streams=4, over_tls=True, goals=_goals(1.25, 1.05)
    ),
}
IDLE_GOAL: Final = Goal(PEER, 1.00, 0.75)
"""Of the memory of an idle connection."""
OPEN_GOAL: Final = Goal(PEER, 1.00, 0.65)
"""Of the memory of an open stream, both sides of the proxy together."""
