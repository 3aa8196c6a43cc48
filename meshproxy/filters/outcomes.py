"""How requests end: counters and latencies by success, by reason of a failure, and by status.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
"""

from time import monotonic

from meshproxy.filters.stream_stats import StreamStats
from meshproxy.http.body import Body
from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Shared, Stat, Total
from meshproxy.metrics.tree import Tree

CLASSIFIED = "com.twitter.finagle.service.ResponseClassificationSyntheticException"
"""The reason of a failure that the classifier found, as finagle names it."""
_CUT = "cut"


class Outcomes:
    """Requests, successes, failures by reason, pending requests and latency of one scope.

    Hot code writes `begun` and then either what successes share or, through `failed`, the rest.
    With *streams*, those of HTTP/2 are counted too.
    """

    __slots__ = ("_failures", "_metrics", "begun", "counters", "latency", "streams", "success")

    def __init__(self, metrics: Tree, *, streams: bool = False) -> None:
        self._metrics = metrics
        self._failures = metrics.counter("failures")
        self.latency = metrics.stat("request_latency_ms")
        successes = metrics.total("success")
        self.success = metrics.shared("success", (successes,), (self.latency,))
        """Successes, with their latency."""
        self.streams = StreamStats(metrics) if streams else None
        self.counters: tuple[Total, ...] = (successes,)
        """What a response that came whole and is a success counts in."""
        if self.streams is not None:
            self.counters += self.streams.counters
        ended = metrics.total("requests", of=(successes, self._failures))
        self.begun = begun = metrics.gauge("pending")
        begun.fn = lambda: begun.value - ended.value

    @property
    def times(self) -> tuple[Stat, ...]:
        """What records the latency of such a response."""
        return (self.latency, *(self.streams.times if self.streams is not None else ()))

    def failed(self, reason: str, elapsed_ms: float) -> None:
        """Records a failure."""
        self._failures.value += 1
        self._metrics.counter("failures", reason).value += 1
        self.latency.add(elapsed_ms)

    def raised(self, request: Request, reason: str, elapsed_ms: float) -> None:
        """Records a request that ended without a response."""
        self.failed(reason, elapsed_ms)
        if self.streams is not None:
            self.streams.record(request, b"", reason, elapsed_ms)

    def classified(self, request: Request, response: Response, elapsed_ms: float) -> None:
        """Records *response*, which is all there and a failure."""
        self.failed(CLASSIFIED, elapsed_ms)
        if self.streams is not None:
            self.streams.record(request, response.body, "", elapsed_ms)

    def settle(self, response: Response, elapsed_ms: float, broken: bool) -> None:
        """Records *response* at the end of its body."""
        if response.failed:
            self.failed(_CUT if broken else CLASSIFIED, elapsed_ms)
        else:
            self.success.add(elapsed_ms)

    def ended(
        self,
        request: Request,
        response: Response,
        body: bytes | Body,
        started: float,
        elapsed_ms: float,
        broken: bool,
    ) -> None:
        """Records *response* at the end of its *body*, and its streams if they are counted.

        The request began at monotonic second *started*; the head came *elapsed_ms* later. Filters
        further out may have given the response another body.
        """
        self.settle(response, elapsed_ms, broken)
        if self.streams is not None:
            whole_ms = (monotonic() - started) * 1000.0
            self.streams.ended(request, body, whole_ms, broken)


class Statuses(dict[int, Shared]):
    """Shared numbers by status and by class of status, with the latency of the class.

    With *outcomes*, they are those of successes whose response came whole.
    """

    def __init__(self, metrics: Tree, outcomes: Outcomes | None = None) -> None:
        super().__init__()
        self._metrics = metrics
        self._outcomes = outcomes
        self._errors = metrics.counter("status", "error")
        self._error_ms = metrics.stat("time", "error")

    def __missing__(self, status: int) -> Shared:
        metrics, outcomes, family = self._metrics, self._outcomes, f"{status // 100}XX"
        code = metrics.total("status", str(status))
        metrics.total("status", family, of=[code])
        times = metrics.stat("time", family)
        if outcomes is None:
            found = metrics.shared(f"status/{status}", (code,), (times,))
        else:
            counters = (code, *outcomes.counters)
            found = metrics.shared(f"whole/{status}", counters, (times, *outcomes.times))
        self[status] = found
        return found

    def failed(self, elapsed_ms: float) -> None:
        """Records a request that ended without a response."""
        self._errors.value += 1
        self._error_ms.add(elapsed_ms)
