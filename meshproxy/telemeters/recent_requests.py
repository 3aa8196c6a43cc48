"""io.l5d.recentRequests: the share of requests that `/requests` keeps of those that went well.

(linkerd: telemetry/recent-requests/.../RecentRequestsTracer.scala)
"""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.model import key
from meshproxy.recent.requests import SLOW_MS
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRequestsConfig(TelemeterConfig):
    """Chooses which of the requests that went well the admin server's `/requests` keeps.

    Without it, the first 50 of each second, the latest 100 in all; requests that failed, were
    slow or were sent again are always kept, 100 of each.
    """

    kind: ClassVar[str] = "io.l5d.recentRequests"
    in_workers: ClassVar[bool] = True
    sample_rate: float = key(
        minimum=0,
        maximum=1,
        quoted=True,
        doc="The share of requests to record, at most 1,000 of each second or `capacity`.",
    )
    capacity: int = key(default=10, minimum=1, maximum=10000, doc="How many to keep.")
    slow_ms: int = key(
        default=round(SLOW_MS),
        minimum=1,
        added=True,
        doc="Milliseconds from which a request is slow, and so kept apart from the others.",
    )

    def build(self, deps: TelemeterDeps) -> "Sampling":
        """Returns the telemeter."""
        return Sampling(self, deps)


class Sampling(Telemeter):
    """Keeps a sample by *config* while it runs."""

    def __init__(self, config: RecentRequestsConfig, deps: TelemeterDeps) -> None:
        self._config = config
        self._recent = deps.recent

    def start(self) -> None:
        """Chooses its share from now on."""
        config = self._config
        self._recent.sample(config.sample_rate, config.capacity, config.slow_ms)

    def close(self) -> None:
        """Leaves the choice to the default again."""
        self._recent.sample()
