"""The circuit breaker of an endpoint: dead after failures, then probed, revived by a success.

Time is checked on access only, so a dead endpoint costs nothing
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
    """The states of an endpoint."""

    ALIVE = "alive"
    DEAD = "dead"
    PROBE_OPEN = "probe_open"
    """The dead period is over; the next request is a probe."""
    PROBE_CLOSED = "probe_closed"
    """A probe is in progress."""


class Policy(Protocol):
    """Decides when an endpoint is marked dead; each endpoint has an instance."""

    def record_success(self) -> None:
        """Records a success, in any state."""
        ...

    def mark_dead_on_failure(self) -> float | None:
        """Records a failure. Returns the seconds to mark the endpoint dead for, or None."""
        ...

    def revived(self) -> None:
        """Resets the policy after a successful probe."""
        ...


class FailureAccrual:
    """The state of an endpoint; every attempt calls `sent`, then reports its outcome.

    An attempt begins before its connection is made, so a connect failure is `failed` as well.
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
        """True in state ALIVE; hot code checks this first."""
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
        """True if a balancer may choose this endpoint."""
        return self.alive or self.state is State.PROBE_OPEN

    @property
    def state(self) -> State:
        """The present state."""
        if self._state is State.DEAD and self._now_ns() >= self._dead_until_ns:
            self._state = State.PROBE_OPEN
        return self._state

    def describe(self) -> tuple[str, float]:
        """Returns the name of the state, and the seconds until a probe is let through."""
        left_ns = self._dead_until_ns - self._now_ns() if self.state is State.DEAD else 0
        return self.state.value, left_ns / 1e9

    def sent(self) -> None:
        """Records the start of an attempt."""
        if not self.alive and self.state is State.PROBE_OPEN:
            self._state = State.PROBE_CLOSED
            self._probes.incr()

    def succeeded(self) -> None:
        """Records a success; a successful probe revives the endpoint first."""
        if not self.alive and self.state is State.PROBE_CLOSED:
            self._state = State.ALIVE
            self.alive = True
            self.policy.revived()
            self._revivals.incr()
            _log.info("endpoint %s works again", self._label)
        self.policy.record_success()

    def failed(self) -> None:
        """Records a failure by the classifier's rules, or that no connection could be made."""
        state = self.state
        if state is State.DEAD or state is State.PROBE_OPEN:
            return
        wait_s = self.policy.mark_dead_on_failure()
        if wait_s is not None:
            self._die(state, wait_s)
        elif state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def ignored(self) -> None:
        """Records that the proxy cancelled the attempt, which says nothing about the endpoint."""
        if self._state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def _die(self, before: State, wait_s: float) -> None:
        self.alive = False
        self._state = State.DEAD
        self._dead_until_ns = self._now_ns() + round(wait_s * 1e9)
        self._removed_for_ms.incr(round(wait_s * 1e3))
        if before is State.ALIVE:
            self._removals.incr()
            _log.info("endpoint %s is marked dead for %.1f s", self._label, wait_s)
