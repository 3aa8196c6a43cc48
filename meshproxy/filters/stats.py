"""What is counted about requests, in Linkerd's names, as the server, a service or a client sees it.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
A request is recorded when its response head is there.
"""

from time import monotonic

from meshproxy.errors import ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Counter, Stat
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_CLASSIFIED = "com.twitter.finagle.service.ResponseClassificationSyntheticException"


class Outcomes:
    """Requests, successes, failures by reason, what is pending, and latency, of one scope."""

    __slots__ = ("_failures", "_latency", "_metrics", "_requests", "_success", "pending")

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._requests = metrics.counter("requests")
        self._success = metrics.counter("success")
        self._failures = metrics.counter("failures")
        self._latency = metrics.stat("request_latency_ms")
        self.pending = metrics.gauge("pending")

    def answered(self, response: Response, elapsed_ms: float) -> None:
        """Record a response."""
        if response.failed:
            self.failed(_CLASSIFIED, elapsed_ms)
        else:
            self._requests.value += 1
            self._success.value += 1
            self._latency.add(elapsed_ms)

    def failed(self, reason: str, elapsed_ms: float) -> None:
        """Record a failure."""
        self._requests.value += 1
        self._failures.value += 1
        self._metrics.counter("failures", reason).value += 1
        self._latency.add(elapsed_ms)


class Statuses(dict[int, tuple[Counter, Counter, Stat]]):
    """Responses by status and by class of status, with their latencies."""

    def __init__(self, metrics: Tree) -> None:
        super().__init__()
        self._metrics = metrics
        self._errors = metrics.counter("status", "error")
        self._error_ms = metrics.stat("time", "error")

    def __missing__(self, status: int) -> tuple[Counter, Counter, Stat]:
        family = f"{status // 100}XX"
        self[status] = counters = (
            self._metrics.counter("status", str(status)),
            self._metrics.counter("status", family),
            self._metrics.stat("time", family),
        )
        return counters

    def answered(self, status: int, elapsed_ms: float) -> None:
        """Record a response."""
        code, family, elapsed = self[status]
        code.value += 1
        family.value += 1
        elapsed.add(elapsed_ms)

    def failed(self, elapsed_ms: float) -> None:
        """Record the end of a request without a response."""
        self._errors.value += 1
        self._error_ms.add(elapsed_ms)


class PathStats:
    """What the callers of one logical name see, retries included."""

    def __init__(self, metrics: Tree) -> None:
        self._outcomes = Outcomes(metrics)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve and record."""
        outcomes = self._outcomes
        outcomes.pending.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            outcomes.failed(error.reason, (monotonic() - started) * 1000)
            raise
        finally:
            outcomes.pending.value -= 1
        outcomes.answered(response, (monotonic() - started) * 1000)
        return response


class ServerStats:
    """What the clients of one server see, errors included."""

    def __init__(self, metrics: Tree) -> None:
        self._outcomes = Outcomes(metrics)
        self._statuses = Statuses(metrics)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve and record."""
        outcomes = self._outcomes
        outcomes.pending.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            elapsed_ms = (monotonic() - started) * 1000
            outcomes.failed(error.reason, elapsed_ms)
            self._statuses.failed(elapsed_ms)
            raise
        finally:
            outcomes.pending.value -= 1
        elapsed_ms = (monotonic() - started) * 1000
        outcomes.answered(response, elapsed_ms)
        self._statuses.answered(response.status, elapsed_ms)
        return response


class ClientStats:
    """The attempts of one client, in all and apart for each name that uses it."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._outcomes = Outcomes(metrics)
        self._statuses = Statuses(metrics)
        self._by_name: dict[object, Outcomes] = {}

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve one attempt and record it."""
        outcomes = self._outcomes
        named = self._by_name.get(request.dst) or self._new(request)
        outcomes.pending.value += 1
        named.pending.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            elapsed_ms = (monotonic() - started) * 1000
            outcomes.failed(error.reason, elapsed_ms)
            named.failed(error.reason, elapsed_ms)
            self._statuses.failed(elapsed_ms)
            raise
        finally:
            outcomes.pending.value -= 1
            named.pending.value -= 1
        elapsed_ms = (monotonic() - started) * 1000
        outcomes.answered(response, elapsed_ms)
        named.answered(response, elapsed_ms)
        self._statuses.answered(response.status, elapsed_ms)
        return response

    def _new(self, request: Request) -> Outcomes:
        """The instruments of a name; past the tree's bound names share those called `other`."""
        name = request.dst.show()[1:] if request.dst is not None else "other"
        outcomes = Outcomes(self._metrics.scope("service", name))
        if len(self._by_name) < 1000:
            self._by_name[request.dst] = outcomes
        return outcomes
