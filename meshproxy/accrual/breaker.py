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
from meshproxy.timeline import Kind, timeline

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
    """Decides when an endpoint is marked dead; each endpoint has an instance.

    Its `str()` tells operators what it marks dead for, such as `5 failures in a row`.
    """

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
        "_dead_since_ns",
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
        "record_success",
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
        self.record_success = policy.record_success
        """Records a success while `alive`; hot code calls this in place of `succeeded`."""
        self._label = label
        self._now_ns = now_ns
        self._state = State.ALIVE
        self._dead_since_ns = self._dead_until_ns = 0
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

    @property
    def dead_s(self) -> float:
        """Seconds since it was marked dead, probes in between included; 0 if it is alive."""
        return 0.0 if self.alive else (self._now_ns() - self._dead_since_ns) / 1e9

    def sent(self) -> None:
        """Records the start of an attempt."""
        if not self.alive and self.state is State.PROBE_OPEN:
            self._state = State.PROBE_CLOSED
            self._probes.incr()

    def succeeded(self) -> None:
        """Records a success; a successful probe revives the endpoint first."""
        if not self.alive and self.state is State.PROBE_CLOSED:
            self._revive(Kind.BREAKER, "alive again, a probe succeeded")
        self.policy.record_success()

    def failed(self, cause: object = "") -> None:
        """Records a failure by the classifier's rules, or that no connection could be made.

        *cause* is what went wrong; its `str()` is for operators.
        """
        state = self.state
        if state is State.DEAD or state is State.PROBE_OPEN:
            return
        wait_s = self.policy.mark_dead_on_failure()
        if wait_s is not None:
            self._die(state, wait_s, Kind.BREAKER, self._why(state, str(cause)))
        elif state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def ignored(self) -> None:
        """Records that the proxy cancelled the attempt, which says nothing about the endpoint."""
        if self._state is State.PROBE_CLOSED:
            self._state = State.PROBE_OPEN

    def mark_dead(self, seconds: float) -> None:
        """Marks it dead for *seconds*, as an operator wishes; then it is probed as ever."""
        self._die(self.state, seconds, Kind.OPERATOR, "by hand")

    def mark_alive(self) -> None:
        """Marks it alive, as an operator wishes; does nothing if it is."""
        if not self.alive:
            self._revive(Kind.OPERATOR, "marked alive by hand")

    def _why(self, before: State, cause: str) -> str:
        last = f": {cause.strip().partition(chr(10))[0]}" if cause else ""
        return f"a probe failed{last}" if before is not State.ALIVE else f"{self.policy}{last}"

    def _die(self, before: State, wait_s: float, kind: Kind, why: str) -> None:
        now_ns = self._now_ns()
        self._dead_until_ns = now_ns + round(wait_s * 1e9)
        self._removed_for_ms.incr(round(wait_s * 1e3))
        if before is State.ALIVE:
            self._dead_since_ns = now_ns
            self._removals.incr()
            _log.info("endpoint %s is marked dead for %.1f s: %s", self._label, wait_s, why)
        self.alive = False
        self._state = State.DEAD
        timeline.note(kind, self._label, f"marked dead for {wait_s:.1f} s: {why}", wait_s)

    def _revive(self, kind: Kind, what: str) -> None:
        self._state = State.ALIVE
        self.alive = True
        self.policy.revived()
        self._revivals.incr()
        _log.info("endpoint %s works again", self._label)
        timeline.note(kind, self._label, what)
