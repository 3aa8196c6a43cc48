"""The load of an endpoint: requests in flight, alone or times a peak-sensitive mean latency.

Exact Peak EWMA (finagle: loadbalancer/PeakEwma.scala, LeastLoaded.scala), except that a round
trip ends at the response head and that a failure never lowers the cost of a node.
"""

import time
from collections.abc import Callable
from math import exp
from typing import Final, Protocol

PENALTY: Final = float(2**47 - 1)
"""Cost of a node that has requests in flight and no history yet."""


class Load(Protocol):
    """What a balancer compares.

    A request calls `begin`, then `head` at most once, then `finish`, unless its head was the end.
    """

    pending: int
    """Requests begun and not finished, response bodies included."""

    def begin(self) -> None:
        """Counts a request in."""
        ...

    def head(self, started: float, now: float, failed: bool = False, ends: bool = False) -> None:
        """Records the arrival of the response head, or a *failed* attempt with or without one.

        The attempt began at monotonic second *started*. If that *ends* it, it is counted out.
        """
        ...

    def finish(self) -> None:
        """Counts a request out, at the end of its body."""
        ...

    def value(self) -> float:
        """Returns the present load; lower is better."""
        ...


class LeastLoaded:
    """Load is the number of requests in flight."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = 0

    def begin(self) -> None:
        """Counts a request in."""
        self.pending += 1

    def head(self, started: float, now: float, failed: bool = False, ends: bool = False) -> None:
        """Counts a request out if it *ends*: latency and results do not matter here."""
        del started, now, failed
        if ends:
            self.finish()

    def finish(self) -> None:
        """Counts a request out."""
        self.pending -= 1

    def value(self) -> float:
        """Returns the number of requests in flight."""
        return self.pending


class PeakEwma:
    """Load is a moving average of latency, which jumps to peaks, times the requests in flight.

    Reading the value decays the average and updates its time stamp, as in Finagle, so it depends
    on when a node was last looked at.
    """

    __slots__ = ("_now", "_per_tau", "_stamp", "cost", "pending")

    def __init__(self, decay_ms: int = 10_000, now: Callable[[], float] = time.monotonic) -> None:
        self.pending = 0
        self.cost = 0.0
        """Round trip in nanoseconds."""
        self._per_tau = 1000 / decay_ms
        self._now = now
        self._stamp = now()

    def begin(self) -> None:
        """Counts a request in."""
        self.pending += 1

    def head(self, started: float, now: float, failed: bool = False, ends: bool = False) -> None:
        """Records the round trip since *started*; a failure counts at least the present cost."""
        if ends:
            self.pending -= 1
        rtt = (now - started) * 1e9 if now > started else 0.0
        if rtt > self.cost:
            self.cost = rtt
        elif not failed:
            weight = exp((self._stamp - now) * self._per_tau) if now > self._stamp else 1.0
            self.cost = self.cost * weight + rtt * (1.0 - weight)
        self._stamp = now

    def finish(self) -> None:
        """Counts a request out."""
        self.pending -= 1

    def value(self) -> float:
        """Decays the cost to the present and multiplies it by the requests in flight."""
        cost = self.cost
        if cost == 0.0:  # nothing to decay, and no later step depends on the time stamp
            return PENALTY + self.pending if self.pending else 0.0
        now = self._now()
        if now > self._stamp:
            self.cost = cost = cost * exp((self._stamp - now) * self._per_tau)
        self._stamp = now
        return cost * (self.pending + 1)
