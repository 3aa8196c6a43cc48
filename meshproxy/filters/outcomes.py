"""How requests end: counters and latencies by success, by reason of a failure, and by status.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
"""

from collections.abc import Callable

from meshproxy.http.ending import Ending
from meshproxy.http.message import Response
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree

CLASSIFIED = "com.twitter.finagle.service.ResponseClassificationSyntheticException"
"""The reason of a failure that the classifier found, as finagle names it."""
_CUT = "cut"


class Outcomes:
    """Requests, successes, failures by reason, pending requests and latency of one scope.

    Hot code writes `begun` and then either `success` and `latency` or, through `failed`, the rest.
    """

    __slots__ = ("_failures", "_metrics", "begun", "latency", "success")

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self.success = metrics.counter("success")
        self._failures = metrics.counter("failures")
        self.latency = metrics.stat("request_latency_ms")
        ended = metrics.total("requests", of=(self.success, self._failures))
        self.begun = begun = metrics.gauge("pending")
        begun.fn = lambda: begun.value - ended.value

    def failed(self, reason: str, elapsed_ms: float) -> None:
        """Records a failure."""
        self._failures.value += 1
        self._metrics.counter("failures", reason).value += 1
        self.latency.add(elapsed_ms)

    def await_end(self, ending: Ending, response: Response, elapsed_ms: float) -> None:
        """Records *response* at the end of its body."""

        def ended(broken: bool) -> None:
            if response.failed:
                self.failed(_CUT if broken else CLASSIFIED, elapsed_ms)
            else:
                self.success.value += 1
                self.latency.add(elapsed_ms)

        ending.then(ended)


class Statuses(dict[int, tuple[Counter, Callable[[float], None]]]):
    """Counters by status and by class of status, each with the latency of its class."""

    def __init__(self, metrics: Tree) -> None:
        super().__init__()
        self._metrics = metrics
        self._errors = metrics.counter("status", "error")
        self._error_ms = metrics.stat("time", "error")

    def __missing__(self, status: int) -> tuple[Counter, Callable[[float], None]]:
        family = f"{status // 100}XX"
        code = self._metrics.counter("status", str(status))
        self._metrics.total("status", family, of=[code])
        self[status] = found = code, self._metrics.stat("time", family).add
        return found

    def failed(self, elapsed_ms: float) -> None:
        """Records a request that ended without a response."""
        self._errors.value += 1
        self._error_ms.add(elapsed_ms)
