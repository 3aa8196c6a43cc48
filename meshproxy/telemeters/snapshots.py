"""Folds all histograms and counts traffic each second, and summarises histograms each minute.

Linkerd's histogramSnapshotInterval (linkerd: telemetry/core/.../MetricsTree.scala).
"""

from collections.abc import Callable
from typing import Final

import gevent
from gevent.event import Event

from meshproxy.metrics.instruments import Stat
from meshproxy.metrics.tree import Tree
from meshproxy.net.traffic import traffic
from meshproxy.net.turn import next_turn
from meshproxy.telemeters.telemeter import Telemeter

FOLD_INTERVAL_S: Final = 1.0
SNAPSHOT_INTERVAL_S: Final = 60.0
_STATS_PER_TURN: Final = 500
"""Histograms folded before other greenlets get their turn."""


class Snapshots(Telemeter):
    """Folds and summarises the histograms of *metrics*; a telemeter without pages.

    Args:
        metrics: the root of the tree.
        interval_s: seconds between two summaries, at least `FOLD_INTERVAL_S`.
    """

    def __init__(self, metrics: Tree, interval_s: float = SNAPSHOT_INTERVAL_S) -> None:
        self._metrics = metrics
        self._folds = max(1, round(interval_s / FOLD_INTERVAL_S))
        self._stopping = Event()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begins the first interval."""
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """Stops; the present interval is not summarised."""
        self._stopping.set()
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        folds = 0
        while not self._stopping.wait(FOLD_INTERVAL_S):
            traffic.count()
            folds = (folds + 1) % self._folds
            if folds == 0:
                self._each(Stat.snapshot)
            else:
                self._each(Stat.fold)

    def _each(self, work: Callable[[Stat], object]) -> None:
        done = 0
        for _, instrument in self._metrics.walk():
            if isinstance(instrument, Stat):
                work(instrument)
                done += 1
                if done % _STATS_PER_TURN == 0:
                    next_turn()
