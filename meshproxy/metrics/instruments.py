"""Counter, Gauge and Stat: what the hot path writes and the exporters read.

Writing costs an attribute or one C call; whatever takes time happens when somebody reads
(finagle: finagle-core/.../stats/{Counter,Gauge,Stat}.scala).
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Literal

from meshproxy.metrics.histogram import Histogram, Summary

MAX_UNFOLDED: Final = 32768
"""Values a Stat holds between two folds; folded each second, that is 32768 values a second."""


class Counter:
    """A number that only grows. Hot code writes `counter.value += 1`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int = 0

    def incr(self, by: int = 1) -> None:
        """Add *by*, which is not negative."""
        self.value += by


class Total(Counter):
    """A counter that is only read: it comes to what its parts come to.

    Hot code then writes one number where there would be two: 0.1 us each.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[Counter] = []

    def add_up(self, parts: Iterable[Counter]) -> None:
        """Count *parts* in from now on; one that is counted already stays counted once."""
        self._parts += [part for part in parts if part not in self._parts]

    @property
    def value(self) -> int:  # type: ignore[override] # nobody may write it
        """What the parts come to now."""
        return sum(part.value for part in self._parts)


Together = Literal["sum", "max"]
"""What the readings of one gauge in several workers come to."""


class Gauge:
    """A number as it is now: `value` as last written, or what `fn` says when asked."""

    __slots__ = ("fn", "together", "value")

    def __init__(self, fn: Callable[[], float] | None = None, together: Together = "sum") -> None:
        self.value: float = 0
        self.fn = fn
        self.together: Together = together

    def read(self) -> float:
        """Return the present value."""
        return self.value if self.fn is None else self.fn()


class Stat:
    """A histogram of everything added since the start, and a summary of the last interval.

    `add(value)` is the append of a bounded queue, with no Python frame and no length check: it
    takes a third of the time that a checked append does. The queue is emptied by every read and
    by `fold`, which someone calls each second; past `MAX_UNFOLDED` the oldest values go.
    """

    __slots__ = ("_earlier", "_queue", "_total", "add", "last")

    def __init__(self) -> None:
        self._queue: deque[float] = deque(maxlen=MAX_UNFOLDED)
        self._total = Histogram()
        self._earlier = self._total
        self.add: Final[Callable[[float], None]] = self._queue.append
        self.last: Summary | None = None
        """The last complete interval; None before the first has ended."""

    def fold(self) -> None:
        """Count in what was added since the last fold."""
        if self._queue:
            values = list(self._queue)
            self._queue.clear()
            self._total = self._total.record(values)

    def merge(self, more: Histogram) -> None:
        """Count in what another process has added."""
        self._total = self._total + more

    def read(self) -> Histogram:
        """Return everything added since the start."""
        self.fold()
        return self._total

    def snapshot(self) -> Summary:
        """End the interval: summarise what came since the last snapshot, and keep it in `last`."""
        now = self.read()
        self.last = summary = (now - self._earlier).summary()
        self._earlier = now
        return summary


Instrument = Counter | Gauge | Stat
