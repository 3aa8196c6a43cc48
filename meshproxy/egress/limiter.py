"""Rate and concurrency limits of rules."""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

MAX_CALLERS: Final = 10_000
_LOOKS: Final = 16
"""Number of callers examined to find one that can be forgotten."""


class Limit(NamedTuple):
    """The value of `limit`; None means no limit."""

    per_second: float | None = None
    burst: int = 1
    """Most requests at once after a pause."""
    concurrent: int | None = None
    by_caller: bool = False
    """True if the limit applies to each caller separately."""


class _Bucket:
    """A token bucket, and the number of requests in progress."""

    __slots__ = ("filled_at", "running", "tokens")

    def __init__(self, tokens: float, now: float) -> None:
        self.tokens = tokens
        self.filled_at = now
        self.running = 0


class Limiter:
    """Enforces *limit*, for at most 10,000 callers; the least recently used is forgotten."""

    def __init__(self, limit: Limit, now: Callable[[], float] = monotonic) -> None:
        self.limit = limit
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def enter(self, caller: str) -> int:
        """Admits a request of *caller* and returns 0, or returns the seconds until one is admitted.

        Who was let in calls `leave` at the end.
        """
        limit, now = self.limit, self._now()
        bucket = self._bucket(caller if limit.by_caller else "", now)
        if limit.concurrent is not None and bucket.running >= limit.concurrent:
            return 1
        if limit.per_second is not None:
            grown = (now - bucket.filled_at) * limit.per_second
            bucket.tokens = min(float(limit.burst), bucket.tokens + grown)
            bucket.filled_at = now
            if bucket.tokens < 1:
                return max(1, math.ceil((1 - bucket.tokens) / limit.per_second))
            bucket.tokens -= 1
        bucket.running += 1
        return 0

    def leave(self, caller: str) -> None:
        """Records the end of an admitted request of *caller*."""
        bucket = self._buckets.get(caller if self.limit.by_caller else "")
        if bucket is not None:
            bucket.running -= 1

    def _bucket(self, caller: str, now: float) -> _Bucket:
        bucket = self._buckets.get(caller)
        if bucket is not None:
            self._buckets.move_to_end(caller)
            return bucket
        if len(self._buckets) >= MAX_CALLERS:
            self._forget()
        bucket = self._buckets[caller] = _Bucket(self.limit.burst, now)
        return bucket

    def _forget(self) -> None:
        """Forgets the least recently used caller without a request in progress, if soon found."""
        for _ in range(_LOOKS):
            caller = next(iter(self._buckets))
            if not self._buckets[caller].running:
                del self._buckets[caller]
                return
            self._buckets.move_to_end(caller)
