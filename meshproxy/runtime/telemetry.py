"""The exporters of a configuration; those with the same configuration as before are kept."""

from collections.abc import Sequence

import gevent

from meshproxy.config.bases import TelemeterConfig
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.runtime.building import Problems, build
from meshproxy.telemeters.snapshots import Snapshots
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps


class Telemetry:
    """The telemeters of *configs* in order, taken from *before* where possible.

    What they choose of the latest requests is kept in *recent*.

    Raises CannotStart.
    """

    def __init__(
        self,
        configs: Sequence[TelemeterConfig],
        metrics: Tree,
        recent: RecentRequests,
        before: "Telemetry | None" = None,
    ) -> None:
        left = list(before._built) if before is not None else []  # noqa: SLF001 - of this class
        self._built: list[tuple[TelemeterConfig | None, Telemeter]] = []
        self._new: list[Telemeter] = []
        deps = TelemeterDeps(metrics, is_late=before is not None, recent=recent)
        problems = Problems()
        for number, config in enumerate((None, *configs), -1):
            kept = next((pair for pair in left if pair[0] == config), None)
            if kept is not None:
                left.remove(kept)
                self._built.append(kept)
                continue
            with problems.noted():
                where = f"telemetry[{number}]"
                built = build(config, where, lambda: deps) if config else Snapshots(metrics)
                self._new.append(built)
                self._built.append((config, built))
        problems.refuse_any()
        self._old = [telemeter for _, telemeter in left]

    @property
    def telemeters(self) -> list[Telemeter]:
        """All telemeters."""
        return [telemeter for _, telemeter in self._built]

    def start(self) -> None:
        """Closes those no longer wanted, then starts new ones; may take seconds."""
        old, self._old = self._old, []
        gevent.joinall([gevent.spawn(telemeter.close) for telemeter in old])
        new, self._new = self._new, []
        for telemeter in new:
            telemeter.start()

    def start_after(self, earlier: gevent.Greenlet | None) -> None:
        """Starts after *earlier*, the start that a reload before began, has ended."""
        if earlier is not None:
            earlier.join()
        self.start()

    def close(self) -> None:
        """Lets each export what is left, and stops it."""
        for telemeter in self.telemeters:
            telemeter.close()
