"""Counter, Gauge, Stat and Shared: written by the hot path, read by exporters.

Writing costs an attribute or one C call; whatever takes time happens on reading
(finagle: finagle-core/.../stats/{Counter,Gauge,Stat}.scala).
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import reduce
from operator import add
from typing import Final, Literal

from meshproxy.metrics.histogram import Histogram, Summary

MAX_UNFOLDED: Final = 131072
"""Values that wait between two folds, which take place each second."""
_NOTHING: Final = Histogram()


class Counter:
    """A number that only grows. Hot code writes `counter.value += 1`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int = 0

    def incr(self, by: int = 1) -> None:
        """Adds *by*, which must not be negative."""
        self.value += by


class Total(Counter):
    """A counter that is only read: the sum of its parts.

    Hot code then writes one number instead of two.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[Counter] = []

    def add_up(self, parts: Iterable[Counter]) -> None:
        """Adds *parts* to the sum from now on; parts that are included already count once."""
        self._parts += [part for part in parts if part not in self._parts]

    @property
    def value(self) -> int:  # type: ignore[override] # it cannot be written
        """The sum of the parts at present."""
        return sum(part.value for part in self._parts)


Together = Literal["sum", "max"]
"""How the readings of one gauge in several workers are combined."""


class Gauge:
    """A number at present: `value` as last written, or the result of `fn`."""

    __slots__ = ("fn", "together", "value")

    def __init__(self, fn: Callable[[], float] | None = None, together: Together = "sum") -> None:
        self.value: float = 0
        self.fn = fn
        self.together: Together = together

    def read(self) -> float:
        """Returns the present value: a number, 1 or 0 for what is true or false."""
        return self.value if self.fn is None else +self.fn()


class Values:
    """A histogram of everything added since the start.

    `add(value)` is the append of a bounded queue, with no Python frame and no length check, which
    makes it much cheaper than a checked append. The queue is emptied by every read and by `fold`,
    which must be called each second; beyond `MAX_UNFOLDED` the oldest values are lost.
    """

    __slots__ = ("_queue", "_total", "add")

    def __init__(self) -> None:
        self._queue: deque[float] = deque(maxlen=MAX_UNFOLDED)
        self._total = _NOTHING
        self.add: Final[Callable[[float], None]] = self._queue.append

    @property
    def count(self) -> int:
        """How many values were added since the start."""
        return self._total.count + len(self._queue)

    def fold(self) -> None:
        """Adds the values since the last fold to the histogram."""
        if self._queue:
            values = list(self._queue)
            self._queue.clear()
            self._total = self._total.record(values)

    def read(self) -> Histogram:
        """Returns everything added since the start."""
        self.fold()
        return self._total


class Stat(Values):
    """A histogram since the start and a summary of the last interval.

    It includes its parts, whose values are then written once for several of these.
    """

    __slots__ = ("_before", "_earlier", "_included", "_parts", "_sum", "last")

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[Values, ...] = ()
        self._included: list[Histogram] = []
        self._earlier = self._before = self._sum = self._total
        self.last: Summary | None = None
        """The last complete interval; None before the first has ended."""

    def add_up(self, parts: Iterable[Values]) -> None:
        """Includes *parts* from now on, each of them once."""
        self._parts += tuple(part for part in parts if part not in self._parts)

    def fold(self) -> None:
        """Adds the values since the last fold to the histogram."""
        super().fold()
        for part in self._parts:
            part.fold()

    def merge(self, more: Histogram) -> None:
        """Adds what another process has recorded."""
        self._total = self._total + more

    def read(self) -> Histogram:
        """Returns everything added since the start: the same object until there is more."""
        all_ = [one for one in (super().read(), *map(Values.read, self._parts)) if one.count]
        if all_ != self._included:
            self._included, self._sum = all_, reduce(add, all_)
        return self._sum

    def recent(self) -> Histogram:
        """Returns what was added in the last complete interval and since."""
        return self.read() - self._before

    def snapshot(self) -> Summary:
        """Ends the interval: summarises the values since the last one, and keeps that in `last`."""
        now = self.read()
        self.last = summary = (now - self._earlier).summary()
        self._before, self._earlier = self._earlier, now
        return summary


class Shared(Counter):
    """What several *counters* and *stats* have in common, written once for all of them.

    Hot code calls `add` with the value that the stats record, and the counters count that.
    """

    __slots__ = ("_values", "add")

    def __init__(self, counters: Iterable[Total], stats: Iterable[Stat]) -> None:
        self._values = values = Values()
        for counter in counters:
            counter.add_up((self,))
        for stat in stats:
            stat.add_up((values,))
        self.add: Final[Callable[[float], None]] = values.add

    @property
    def value(self) -> int:  # type: ignore[override] # it cannot be written
        """How many values were added."""
        return self._values.count


Instrument = Counter | Gauge | Stat
