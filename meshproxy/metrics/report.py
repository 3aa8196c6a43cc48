"""Adds up the metrics of several processes in one tree, from reports of their changes.

Since a report holds differences, nothing reported is counted twice or lost, even if the process has
ended since.
"""

from collections import Counter as Tally
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from itertools import count, islice
from typing import Any, Final, NamedTuple

from meshproxy.metrics.histogram import Histogram
from meshproxy.metrics.instruments import Counter, Gauge, Instrument, Stat, Together
from meshproxy.metrics.tree import Scope, Tree

MAX_INSTRUMENTS: Final = 500
"""Instruments in one batch, which bounds its size and the time it takes."""
KEPT_SECONDS: Final = 600.0
"""How long metrics of a process that has ended are kept if no other process has them."""

_COUNTER, _STAT = "counter", "stat"


class Batch(NamedTuple):
    """A part of a report, made of JSON values.

    *changes* are: for a counter its growth, for a gauge its value, for a histogram the count, the
    sum and the hits of each value since the last report.
    """

    new: Sequence[tuple[int, str, Sequence[str]]]
    """Instruments not reported before: number, kind (`counter`, `stat`, or how a gauge is
    combined), full scope."""
    changes: Sequence[tuple[int, Any]]
    gone: Sequence[int]


class _Reported:
    """An instrument that has been reported, and its last reported state."""

    __slots__ = ("_last", "number")

    def __init__(self, number: int, instrument: Instrument) -> None:
        self.number = number
        self._last: Any = Histogram() if isinstance(instrument, Stat) else 0

    def change(self, instrument: Instrument) -> Any:
        """Returns the change since the last call; None if there is none."""
        last = self._last
        if isinstance(instrument, Counter):
            self._last = instrument.value
            return self._last - last or None
        if isinstance(instrument, Gauge):
            self._last = instrument.read()
            return None if self._last == last else self._last
        self._last = instrument.read()
        if self._last is last:
            return None
        more = self._last - last
        return more.count, more.sum, [*more.counts.items()]


class Report:
    """The changes in *metrics* since the last call; for one caller at a time."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._reported: dict[Instrument, _Reported] = {}
        self._numbers = count()

    def batches(self) -> Iterator[Batch]:
        """Yields a whole report; it must be consumed to the end."""
        before, self._reported = self._reported, {}
        walk = self._metrics.walk()
        while some := list(islice(walk, MAX_INSTRUMENTS)):
            new: list[tuple[int, str, Sequence[str]]] = []
            changes: list[tuple[int, Any]] = []
            for scope, instrument in some:
                reported = before.pop(instrument, None)
                if reported is None:
                    reported = _Reported(next(self._numbers), instrument)
                    new.append((reported.number, _kind(instrument), scope))
                self._reported[instrument] = reported
                if (change := reported.change(instrument)) is not None:
                    changes.append((reported.number, change))
            yield Batch(new, changes, ())
        last = [
            (reported.number, change)
            for instrument, reported in before.items()
            if not isinstance(instrument, Gauge)
            and (change := reported.change(instrument)) is not None
        ]
        yield Batch((), last, [reported.number for reported in before.values()])


class _Readings:
    """The readings of one gauge by several processes; calling it combines them."""

    def __init__(self, gauge: Gauge, together: Together) -> None:
        self._own = gauge.fn
        self._together = max if together == "max" else sum
        self.by_process: dict[Hashable, float] = {}

    def __call__(self) -> float:
        own = () if self._own is None else (self._own(),)
        return self._together((*own, *self.by_process.values()) or (0,))


class Merged:
    """Adds the reports of processes to *metrics*; what is there from the start stays."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._known: dict[Hashable, dict[int, tuple[Scope, Instrument]]] = {}
        self._holders = Tally(scope for scope, _ in metrics.walk())
        self._left: deque[tuple[float, list[Scope]]] = deque()

    def take(self, process: Hashable, batch: Batch) -> None:
        """Adds a batch from *process*."""
        known = self._known.setdefault(process, {})
        for number, kind, names in batch.new:
            scope = tuple(names)
            known[number] = scope, self._instrument(kind, scope)
            self._holders[scope] += 1
        for number, change in batch.changes:
            _add(known[number][1], (process, number), change)
        for number in batch.gone:
            scope, instrument = known.pop(number)
            _forget(instrument, (process, number))
            self._release(scope)

    def leave(self, process: Hashable, now: float) -> None:
        """Forgets the gauges of *process*, which has ended; its counters are kept for a while."""
        counted = []
        for number, (scope, instrument) in self._known.pop(process, {}).items():
            _forget(instrument, (process, number))
            if isinstance(instrument, Gauge) or self._holders[scope] > 1:
                self._release(scope)
            else:
                counted.append(scope)
        self._left.append((now + KEPT_SECONDS, counted))

    def expire(self, now: float) -> None:
        """Removes metrics of processes that ended long ago, if no other process has them."""
        while self._left and self._left[0][0] <= now:
            for scope in self._left.popleft()[1]:
                self._release(scope)

    def _instrument(self, kind: str, scope: Scope) -> Instrument:
        if kind == _COUNTER:
            return self._metrics.counter(*scope)
        if kind == _STAT:
            return self._metrics.stat(*scope)
        together: Together = "max" if kind == "max" else "sum"
        gauge = self._metrics.gauge(*scope, together=together)
        if not isinstance(gauge.fn, _Readings):
            gauge.fn = _Readings(gauge, together)
        return gauge

    def _release(self, scope: Scope) -> None:
        self._holders[scope] -= 1
        if self._holders[scope] == 0:
            del self._holders[scope]
            self._metrics.remove(*scope)


def _kind(instrument: Instrument) -> str:
    if isinstance(instrument, Gauge):
        return instrument.together
    return _COUNTER if isinstance(instrument, Counter) else _STAT


def _add(instrument: Instrument, reader: tuple[Hashable, int], change: Any) -> None:
    if isinstance(instrument, Counter):
        instrument.value += change
    elif isinstance(instrument, Stat):
        times, total, counts = change
        instrument.merge(Histogram(dict(counts), times, total))
    elif isinstance(instrument.fn, _Readings):
        instrument.fn.by_process[reader] = change


def _forget(instrument: Instrument, reader: tuple[Hashable, int]) -> None:
    if isinstance(instrument, Gauge) and isinstance(instrument.fn, _Readings):
        instrument.fn.by_process.pop(reader, None)
