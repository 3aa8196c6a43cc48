"""Circuit breaker of one endpoint: dead after failures, probed after a while, revived by a success.

Time is looked at when somebody asks, so a dead endpoint costs nothing
(finagle: liveness/FailureAccrualFactory.scala).
"""

import enum
import logging
import time
from collections.abc import Callable
from typing import Protocol

from meshproxy.metrics.tree import Tree

_log = logging.getLogger(__name__)


class State(enum.Enum):
    """Where an endpoint is between trust and removal."""

    ALIVE = "alive"
    DEAD = "dead"
    PROBE_OPEN = "probe_open"
    """The dead period is over; the next request is a probe."""
    PROBE_CLOSED = "probe_closed"
    """A probe is out."""


class Policy(Protocol):
    """Decides when failures are too many; one instance for each endpoint."""

    def record_success(self) -> None:
        """A request succeeded, in whatever state."""
        ...

    def mark_dead_on_failure(self) -> float | None:
        """Seconds for which the endpoint is dead after this failure, None to go on."""
        ...

    def revived(self) -> None:
        """A probe succeeded: begin anew."""
        ...


class FailureAccrual:
    """The state of one endpoint; every attempt calls `sent`, then tells how it ended.

    An attempt begins before its connection is there, so failing to connect is `failed` as well.
    *metrics* is the client's scope `failure_accrual`; *label* names the endpoint in the log.
    """

    __slots__ = (
        "_dead_until_ns",
        "_label",
        "_now_ns",
        "_probes",
        "_removals",
        "_removed_for_ms",
        "_revivals",
        "_state",
        "alive",
        "policy",
    )

    def __init__(
        self,
        policy: Policy,
        metrics: Tree,
        label: str,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.alive = True
        """The state is ALIVE; hot code reads this before anything else."""
        self.policy = policy
        self._label = label
        self._now_ns = now_ns
        self._state = State.ALIVE
        self._dead_until_ns = 0
        self._removals = metrics.counter("removals")
        self._revivals = metrics.counter("revivals")
        self._probes = metrics.counter("probes")
        self._removed_for_ms = metrics.counter("removed_for_ms")

    @property
    def is_open(self) -> bool:
        """A balancer may choose this endpoint."""
        return self.alive or self.state is State.PROBE_OPEN

    @property
    def state(self) -> State:
        """The state now."""
        if self._state is State.DEAD and self._now_ns() >= self._dead_until_ns:
            self._state = State.PROBE_OPEN
        return self._state

    @property
    def dead_until_ns(self) -> int:
        """End of the last dead period, by the injected clock; 0 if there was none."""
        return self._dead_until_ns

    def sent(self) -> None:
        """An attempt begins."""
        if not self.alive and self.state is State.PROBE_OPEN:
            self._state = State.PROBE_CLOSED
            self._probes.incr()

    def succeeded(self) -> None:
        """The classifier called the result a success; a revival begins with that success."""
        if not self.alive and self.state is State.PROBE_CLOSED:
            self._state = State.ALIVE
            self.alive = True
            self.policy.revived()
            self._revivals.incr()
            _log.info("endpoint %s answers again and is back", self._label)
        self.policy.record_success()

    def failed(self) -> None:
        """The classifier called the result a failure, or there was no connection to be had."""
        state = self.state
        if state is State.DEAD or state is State.PROBE_OPEN:
            return
        wait_s = self.policy.mark_dead_on_failure()
        if wait_s is not None:
            self._die(state, wait_s)
        elif state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def ignored(self) -> None:
        """The proxy itself cancelled the attempt, which says nothing about the endpoint."""
        if self._state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def _die(self, before: State, wait_s: float) -> None:
        self.alive = False
        self._state = State.DEAD
        self._dead_until_ns = self._now_ns() + round(wait_s * 1e9)
        self._removed_for_ms.incr(round(wait_s * 1e3))
        if before is State.ALIVE:
            self._removals.incr()
            _log.info("endpoint %s fails and is out for %.1f s", self._label, wait_s)
