"""When failures are too many, and for how long an endpoint is then out.

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
"""Dead periods where the configuration names none."""
_ENOUGH: Final = 5
"""Results in the window below which a rate over time means nothing."""
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

    def record_success(self) -> None:
        """Forget the failures."""
        self.count = 0

    def mark_dead_on_failure(self) -> float | None:
        """Count; the count goes on while dead, so one failed probe is enough."""
        self.count += 1
        return next(self._waits) if self.count >= self._failures else None

    def revived(self) -> None:
        """Forget the failures and start with the shortest wait again."""
        self.count = 0
        self._waits = self._backoff()


class NeverDead:
    """No number of failures is too many."""

    __slots__ = ()

    def record_success(self) -> None:
        """Nothing to note."""

    def mark_dead_on_failure(self) -> float | None:
        """Go on."""
        return None

    def revived(self) -> None:
        """Nothing to forget."""


class _Mean:
    """An exponential moving average over a scale of its own (twitter/util: Ema)."""

    __slots__ = ("_stamp", "_window", "value")

    def __init__(self, window: float) -> None:
        self.value = 0.0
        self._window = window
        self._stamp = -1.0

    def update(self, stamp: float, value: float) -> None:
        """Take in *value* at *stamp*; the first one counts as it is."""
        weight = math.exp((self._stamp - stamp) / self._window) if self._stamp >= 0 else 0.0
        self.value = value * (1.0 - weight) + self.value * weight
        self._stamp = stamp

    def reset(self) -> None:
        """Forget everything."""
        self.value, self._stamp = 0.0, -1.0


class SuccessRate:
    """Dead when the share of successes, averaged over *requests*, is below *rate*.

    Not before that many results are in since the endpoint was new or revived.
    """

    def __init__(self, rate: float, requests: int, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._rate = rate
        self._requests = requests
        self._backoff = backoff
        self._waits = backoff()
        self._seen = 0
        self._mean = _Mean(max(requests, 1))

    @property
    def success_rate(self) -> float:
        """The average now."""
        return self._mean.value

    def record_success(self) -> None:
        """Count a success."""
        self._record(1.0)

    def mark_dead_on_failure(self) -> float | None:
        """Count a failure, and see whether that is enough."""
        self._record(0.0)
        is_dead = self._seen >= self._requests and self._mean.value < self._rate
        return next(self._waits) if is_dead else None

    def revived(self) -> None:
        """Begin anew, with the shortest wait."""
        self._seen = 0
        self._mean.reset()
        self._waits = self._backoff()

    def _record(self, result: float) -> None:
        self._seen += 1
        self._mean.update(self._seen, result)


class SuccessRateWindowed:
    """Dead when the share of successes, averaged over *window_s*, is below *rate*.

    Not within the first window since the endpoint was new or revived, and not with fewer than five
    results in the last one.
    """

    def __init__(
        self,
        rate: float,
        window_s: int,
        backoff: Backoff = DEFAULT_BACKOFF,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._rate = rate
        self._window_ns = window_s * 1_000_000_000
        self._backoff = backoff
        self._waits = backoff()
        self._now_ns = now_ns
        self._born = now_ns()
        self._mean = _Mean(max(self._window_ns, 1))
        self._results = WindowedAdder(max(window_s, 1), now_ns, slices=_SLICES)

    @property
    def success_rate(self) -> float:
        """The average now."""
        return self._mean.value

    def record_success(self) -> None:
        """Count a success."""
        self._record(1.0)

    def mark_dead_on_failure(self) -> float | None:
        """Count a failure, and see whether that is enough."""
        age = self._record(0.0)
        is_dead = (
            age >= self._window_ns
            and self._mean.value < self._rate
            and self._results.sum() >= _ENOUGH
        )
        return next(self._waits) if is_dead else None

    def revived(self) -> None:
        """Begin anew, with the shortest wait."""
        self._born = self._now_ns()
        self._mean.reset()
        self._waits = self._backoff()

    def _record(self, result: float) -> int:
        """Count a result; how old the endpoint is, in nanoseconds."""
        age = self._now_ns() - self._born
        self._mean.update(age, result)
        self._results.add(1)
        return age


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsecutiveFailuresConfig(AccrualConfig):
    """An endpoint is dead after that many failures in a row."""

    kind: ClassVar[str] = "io.l5d.consecutiveFailures"
    failures: int = key(default=0, minimum=0, doc="How many; 0 counts as 1.")

    def new_policy(self) -> Policy:
        """The policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return ConsecutiveFailures(self.failures, backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneConfig(AccrualConfig):
    """Endpoints are never dead."""

    kind: ClassVar[str] = "none"

    def new_policy(self) -> Policy:
        """The policy of one endpoint."""
        return NeverDead()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRateConfig(AccrualConfig):
    """An endpoint is dead when too few of its last requests succeed."""

    kind: ClassVar[str] = "io.l5d.successRate"
    success_rate: float = key(default=0.0, minimum=0, maximum=1, doc="The share that has to.")
    requests: int = key(default=0, minimum=0, doc="How many requests the share is taken over.")

    def new_policy(self) -> Policy:
        """The policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return SuccessRate(self.success_rate, self.requests, backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRateWindowedConfig(AccrualConfig):
    """An endpoint is dead when too few of its requests in a span of time succeed."""

    kind: ClassVar[str] = "io.l5d.successRateWindowed"
    success_rate: float = key(default=0.0, minimum=0, maximum=1, doc="The share that has to.")
    window: int = key(default=0, minimum=0, doc="The span, in seconds.")

    def new_policy(self) -> Policy:
        """The policy of one endpoint."""
        backoff = self.backoff.build() if self.backoff else DEFAULT_BACKOFF
        return SuccessRateWindowed(self.success_rate, self.window, backoff)
