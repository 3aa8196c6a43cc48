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
    """Counts requests, successes, failures by reason, what is pending, and latency."""

    __slots__ = ("_failures", "_latency", "_metrics", "_pending", "_requests", "_success")

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._requests = metrics.counter("requests")
        self._success = metrics.counter("success")
        self._failures = metrics.counter("failures")
        self._pending = metrics.gauge("pending")
        self._latency = metrics.stat("request_latency_ms")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve and record."""
        self._pending.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            self.failed(error.reason, started)
            raise
        finally:
            self._pending.value -= 1
        if response.failed:
            self.failed(_CLASSIFIED, started)
        else:
            self._requests.value += 1
            self._success.value += 1
            self._latency.add((monotonic() - started) * 1000)
        return response

    def failed(self, reason: str, started: float) -> None:
        """Record a failure that began at monotonic second *started*."""
        self._requests.value += 1
        self._failures.value += 1
        self._metrics.counter("failures", reason).value += 1
        self._latency.add((monotonic() - started) * 1000)


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

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve and record."""
        started = monotonic()
        try:
            response = service(request)
        except ProxyError:
            self._errors.value += 1
            self._error_ms.add((monotonic() - started) * 1000)
            raise
        code, family, elapsed = self[response.status]
        code.value += 1
        family.value += 1
        elapsed.add((monotonic() - started) * 1000)
        return response

    def count(self, status: int) -> None:
        """Record a response that no service made, such as one to a malformed request."""
        code, family, _ = self[status]
        code.value += 1
        family.value += 1


class PerService:
    """The outcomes of one client again, apart for each name that uses it."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._by_name: dict[object, Outcomes] = {}

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve and record under the request's name."""
        outcomes = self._by_name.get(request.dst)
        if outcomes is None:
            outcomes = self._new(request)
        return outcomes(request, service)

    def _new(self, request: Request) -> Outcomes:
        """The instruments of a name; past the tree's bound names share those called `other`."""
        name = request.dst.show()[1:] if request.dst is not None else "other"
        scope = self._metrics.scope("service", name)
        outcomes = Outcomes(scope)
        if len(self._by_name) < 1000:
            self._by_name[request.dst] = outcomes
        return outcomes
