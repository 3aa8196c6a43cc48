"""Policies that decide when an endpoint is marked dead, and for how long.

finagle: liveness/FailureAccrualPolicy.scala; linkerd: linkerd/failure-accrual/.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.accrual.breaker import Policy
from meshproxy.backoff import Backoff, equal_jitter
from meshproxy.budget import WindowedAdder
from meshproxy.config.bases import AccrualConfig
from meshproxy.config.model import key

DEFAULT_BACKOFF: Final = equal_jitter(5, 300)
"""Dead periods if the configuration names none."""
_ENOUGH: Final = 5
"""With fewer results in the window, a success rate is not meaningful."""
_SLICES: Final = 5


class ConsecutiveFailures:
    """Dead after *failures* in a row; each dead period is the next wait of *backoff*."""

    __slots__ = ("_backoff", "_failures", "_waits", "count")

    def __init__(self, failures: int, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self.count = 0
        """Failures since the last success."""
        self._failures = failures
        self._backoff = backoff
        self._waits = backoff()

    def __str__(self) -> str:
        return f"{self._failures} failures in a row" if self._failures > 1 else "a failure"

    def record_success(self) -> None:
        """Resets the count."""
        self.count = 0

    def mark_dead_on_failure(self) -> float | None:
        """Counts a failure; also counts while dead, so one failed probe suffices."""
        self.count += 1
        return next(self._waits) if self.count >= self._failures else None

    def revived(self) -> None:
        """Resets the count, and starts with the shortest wait again."""
        self.count = 0
        self._waits = self._backoff()


class NeverDead:
    """Never marks an endpoint dead."""

    __slots__ = ()

    def __str__(self) -> str:
        return "never"

    def record_success(self) -> None:
        """Does nothing."""

    def mark_dead_on_failure(self) -> float | None:
        """Returns None: the endpoint stays alive."""
        return None

    def revived(self) -> None:
        """Does nothing."""


class _Mean:
    """An exponential moving average over any scale (twitter/util: Ema)."""

    __slots__ = ("_stamp", "_window", "value")

    def __init__(self, window: float) -> None:
        self.value = 0.0
        self._window = window
        self._stamp = -1.0

    def update(self, stamp: float, value: float) -> None:
        """Adds *value* at *stamp*; the first value is taken as it is."""
        weight = math.exp((self._stamp - stamp) / self._window) if self._stamp >= 0 else 0.0
        self.value = value * (1.0 - weight) + self.value * weight
        self._stamp = stamp

    def reset(self) -> None:
        """Forgets all values."""
        self.value, self._stamp = 0.0, -1.0


class SuccessRate:
    """Dead if the success rate, averaged over *requests*, is below *rate*.

    Not before that many results were recorded since the endpoint was new or revived.
    """

    def __init__(self, rate: float, requests: int, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._rate = rate
        self._requests = requests
        self._backoff = backoff
        self._waits = backoff()
        self._seen = 0
        self._mean = _Mean(max(requests, 1))

    def __str__(self) -> str:
        return _low(self._mean.value, self._rate, f"{self._requests} requests")

    @property
    def success_rate(self) -> float:
        """The present average."""
        return self._mean.value

    def record_success(self) -> None:
        """Counts a success."""
        self._record(1.0)

    def mark_dead_on_failure(self) -> float | None:
        """Counts a failure, and decides if the rate is too low."""
        self._record(0.0)
        is_dead = self._seen >= self._requests and self._mean.value < self._rate
        return next(self._waits) if is_dead else None

    def revived(self) -> None:
        """Starts over, with the shortest wait."""
        self._seen = 0
        self._mean.reset()
        self._waits = self._backoff()

    def _record(self, result: float) -> None:
        self._seen += 1
        self._mean.update(self._seen, result)


class SuccessRateWindowed:
    """Dead if the success rate, averaged over *window_s* seconds, is below *rate*.

    Not within the first window since the endpoint was new or revived, and not with fewer than five
    results in the last window.
    """

    def __init__(
        self,
        rate: float,
        window_s: int,
        backoff: Backoff = DEFAULT_BACKOFF,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._window_s = window_s
        self._backoff = backoff
        self._waits = backoff()
        self._now = now
        self._born = now()
        self._mean = _Mean(max(window_s, 1e-9))
        self._results = WindowedAdder(max(window_s, 1), now, slices=_SLICES)

    def __str__(self) -> str:
        return _low(self._mean.value, self._rate, f"{self._window_s} s")

    @property
    def success_rate(self) -> float:
        """The present average."""
        return self._mean.value

    def record_success(self) -> None:
        """Counts a success."""
        self._record(1.0)

    def mark_dead_on_failure(self) -> float | None:
        """Counts a failure, and decides if the rate is too low."""
        age = self._record(0.0)
        is_dead = (
            age >= self._window_s
            and self._mean.value < self._rate
            and self._results.sum() >= _ENOUGH
        )
        return next(self._waits) if is_dead else None

    def revived(self) -> None:
        """Starts over, with the shortest wait."""
        self._born = self._now()
        self._mean.reset()
        self._waits = self._backoff()

    def _record(self, result: float) -> float:
        """Counts a result. Returns the age of the endpoint in seconds."""
        age = self._now() - self._born
        self._mean.update(age, result)
        self._results.add(1)
        return age


def _low(is_rate: float, lowest: float, over: str) -> str:
    return f"success rate {is_rate:.3g} below {lowest:g} over {over}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsecutiveFailuresConfig(AccrualConfig):
    """An endpoint is marked dead after that many failures in a row."""

    kind: ClassVar[str] = "io.l5d.consecutiveFailures"
    failures: int = key(default=0, minimum=0, doc="How many; 0 counts as 1.")

    def new_policy(self) -> Policy:
        """Returns the policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return ConsecutiveFailures(self.failures, backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneConfig(AccrualConfig):
    """Endpoints are never marked dead."""

    kind: ClassVar[str] = "none"

    def new_policy(self) -> Policy:
        """Returns the policy of one endpoint."""
        return NeverDead()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRateConfig(AccrualConfig):
    """An endpoint is marked dead if too few of its last requests succeed."""

    kind: ClassVar[str] = "io.l5d.successRate"
    success_rate: float = key(default=0.0, minimum=0, maximum=1, doc="The lowest success rate.")
    requests: int = key(default=0, minimum=0, doc="Number of requests that the rate is taken over.")

    def new_policy(self) -> Policy:
        """Returns the policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return SuccessRate(self.success_rate, self.requests, backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRateWindowedConfig(AccrualConfig):
    """An endpoint is marked dead if too few of its requests within a time window succeed."""

    kind: ClassVar[str] = "io.l5d.successRateWindowed"
    success_rate: float = key(default=0.0, minimum=0, maximum=1, doc="The lowest success rate.")
    window: int = key(default=0, minimum=0, doc="Length of the window in seconds.")

    def new_policy(self) -> Policy:
        """Returns the policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return SuccessRateWindowed(self.success_rate, self.window, backoff)
