"""Counts of integer values in buckets: within 0.5 %, bounded in size, and addable.

Bucket limits and percentiles follow finagle: finagle-core/.../stats/BucketedHistogram.scala.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, repeat
from math import floor
from operator import mul
from typing import Final, cast

MAX_VALUE: Final = 2**31 - 1
"""Larger values count as this one, values below 0 as 0."""
_CLOSE: Final = 16
"""Values are close together if there are this many for each integer that they span."""


def _limits() -> tuple[int, ...]:
    """Returns the first value of each bucket: every integer up to 200, then steps of 1 %."""
    limits = [0]
    while limits[-1] < MAX_VALUE:
        limits.append(max(limits[-1] + 1, int(limits[-1] * 1.01)))
    limits[-1] = MAX_VALUE
    return tuple(limits)


_LIMITS: Final = _limits()
_MIDDLES: Final = (
    0,
    *((first + following - 1) // 2 for first, following in pairwise(_LIMITS)),
    MAX_VALUE,
)
"""The value that represents a bucket, by the number of limits that are not above it."""


def bucket(value: float) -> int:
    """Returns the integer that represents *value*, within 0.5 % of its integer part."""
    return _MIDDLES[bisect_right(_LIMITS, value)]


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of one interval of a histogram; all zero if it is empty."""

    count: int = 0
    min: int = 0
    max: int = 0
    sum: int = 0
    avg: float = 0.0
    p50: int = 0
    p90: int = 0
    p95: int = 0
    p99: int = 0
    p9990: int = 0
    p9999: int = 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """Number of hits of each bucket; `+` merges workers, `-` gives the difference in between."""

    counts: Mapping[int, int] = field(default_factory=dict)
    count: int = 0
    sum: int = 0

    def record(self, values: Sequence[float]) -> "Histogram":
        """Returns this histogram with *values*, truncated to integers, added."""
        counts = dict(self.counts)
        times = _times(values)
        middles = map(_MIDDLES.__getitem__, map(bisect_right, repeat(_LIMITS), times))
        for middle, n in zip(middles, times.values(), strict=True):
            counts[middle] = counts.get(middle, 0) + n
        total = self.sum + sum(map(mul, times, times.values()))
        return Histogram(counts, self.count + len(values), total)

    def __add__(self, other: "Histogram") -> "Histogram":
        counts = dict(self.counts)
        for middle, times in other.counts.items():
            counts[middle] = counts.get(middle, 0) + times
        return Histogram(counts, self.count + other.count, self.sum + other.sum)

    def __sub__(self, earlier: "Histogram") -> "Histogram":
        before = earlier.counts.get
        counts = {value: more for value, n in self.counts.items() if (more := n - before(value, 0))}
        return Histogram(counts, self.count - earlier.count, self.sum - earlier.sum)

    def at_most(self, limits: Sequence[int]) -> list[int]:
        """Returns how many values are not above each of *limits*, which must be ascending."""
        hits = sorted(self.counts.items())
        reached = [0, *accumulate(times for _, times in hits)]
        values = [value for value, _ in hits]
        return [reached[bisect_right(values, limit)] for limit in limits]

    def summary(self) -> Summary:
        """Returns count, extremes, sum, mean and percentiles."""
        if not self.count:
            return Summary()
        hits = sorted(self.counts.items())
        p50, p90, p95, p99, p9990, p9999 = _percentiles(hits, self.count)
        return Summary(
            count=self.count,
            min=hits[0][0],
            max=hits[-1][0],
            sum=self.sum,
            avg=self.sum / self.count,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            p9990=p9990,
            p9999=p9999,
        )


def _times(values: Sequence[float]) -> Mapping[int, int]:
    """Returns how often each integer part is found in *values*.

    All but the largest sixteenth, where a few can be far apart, are counted in order if that is
    cheaper.
    """
    ordered = sorted(values)
    bulk = len(ordered) * 15 // 16
    if bulk and ordered[bulk - 1] - ordered[0] >= bulk / _CLOSE:
        bulk = 0
    times = _counted(ordered[bulk:])
    times.update(_times_in_order(ordered[:bulk]))
    return times


def _counted(values: Sequence[float]) -> Counter[int]:
    """Returns the same for *values* in order, looked at one by one."""
    if values and (values[0] < 0 or values[-1] > MAX_VALUE):
        return Counter(min(max(int(value), 0), MAX_VALUE) for value in values)
    if set(map(type, values)) == {int}:
        return Counter(cast("Sequence[int]", values))
    return Counter(map(floor, values))  # cheaper than `int`


def _times_in_order(values: Sequence[float]) -> dict[int, int]:
    """Returns the same for *values* in order, looking for the end of each integer."""
    times: dict[int, int] = {}
    at = bisect_left(values, 1)
    if at:
        times[0] = at
    while at < len(values):
        whole = min(floor(values[at]), MAX_VALUE)
        end = bisect_left(values, whole + 1, at) if whole < MAX_VALUE else len(values)
        times[whole] = end - at
        at = end
    return times


_SHARES: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)


def _percentiles(hits: list[tuple[int, int]], count: int) -> list[int]:
    """Returns the first bucket at which each share of *count* is reached."""
    found = []
    steps = iter(hits)
    value, reached = next(steps)
    for share in _SHARES:
        wanted = int(share * count + 0.5)
        while reached < wanted:
            value, times = next(steps)
            reached += times
        found.append(value)
    return found
