"""Counts requests as the server, a service or a client sees them, under Linkerd's names.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
A request is recorded once its outcome is known: with the head of its response, or at the end of a
body that is still arriving. Latency is always that of the head.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

from meshproxy.errors import LoopDetected, ProxyError
from meshproxy.filters.streamed_bodies import StreamedBodies
from meshproxy.http.message import Ending, Request, Response
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import MAX_CHILDREN, OVERFLOW, Tree
from meshproxy.naming.path import Path
from meshproxy.recent.requests import RecentRequests
from meshproxy.service import Service

Name = TypeVar("Name")

_CUT = "cut"
_CLASSIFIED = "com.twitter.finagle.service.ResponseClassificationSyntheticException"


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
                self.failed(_CUT if broken else _CLASSIFIED, elapsed_ms)
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


class PathStats(Outcomes):
    """What the callers of one logical name see, retries included."""

    __slots__ = ()

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves and records."""
        self.begun.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            self.failed(error.reason, (monotonic() - started) * 1000.0)
            raise
        except BaseException:
            self.begun.value -= 1
            raise
        elapsed_ms = (response.arrived - started) * 1000.0
        ending = response.ending
        if ending is not None and not ending.is_settled:
            self.await_end(ending, response, elapsed_ms)
        elif response.failed:
            self.failed(_CLASSIFIED, elapsed_ms)
        else:
            self.success.value += 1
            add_ms = self.latency.add
            add_ms(elapsed_ms)
        return response


class ServerStats(Outcomes):
    """What the clients of one server see, errors included.

    Requests of interest are recorded in *recent*, as those to *server* of the router *router*.
    """

    __slots__ = ("_recent", "_responses", "_statuses", "_uploads", "_where")

    def __init__(
        self, metrics: Tree, recent: RecentRequests, router: str = "", server: str = ""
    ) -> None:
        super().__init__(metrics)
        self._statuses = Statuses(metrics)
        self._uploads = StreamedBodies(metrics.scope("stream", "request"))
        self._responses = StreamedBodies(metrics.scope("stream", "response"))
        self._recent = recent
        self._where = router, server

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves and records."""
        if request.body is not None and not request.body.is_complete:
            service = partial(self._uploads.through, service)
        self.begun.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            elapsed_ms = (monotonic() - started) * 1000.0
            self.failed(error.reason, elapsed_ms)
            self._statuses.failed(elapsed_ms)
            self._recent.left(*self._where, request, error, elapsed_ms)
            raise
        except BaseException:
            self.begun.value -= 1
            raise
        elapsed_ms = (monotonic() - started) * 1000.0
        status, add_ms = self._statuses[response.status]
        status.value += 1
        add_ms(elapsed_ms)
        ending = response.ending
        if ending is not None and not ending.is_settled:
            self._responses.until(ending)
            self.await_end(ending, response, elapsed_ms)
            self._recent.await_end(*self._where, request, response, elapsed_ms, ending)
        elif response.failed:
            self.failed(_CLASSIFIED, elapsed_ms)
            self._recent.ended(*self._where, request, response, elapsed_ms)
        else:
            self.success.value += 1
            add_ms = self.latency.add
            add_ms(elapsed_ms)
            if elapsed_ms >= self._recent.from_ms or request.earlier or response.status >= 400:
                self._recent.ended(*self._where, request, response, elapsed_ms)
        return response


class NamedOutcomes(PathStats):
    """The same for one of several; its scope is kept until `forget`."""

    __slots__ = ("_begun_before",)

    def __init__(self, metrics: Tree) -> None:
        super().__init__(metrics)
        self._begun_before = -1.0
        metrics.hold()

    def was_used(self) -> bool:
        """Returns True if a request began since the last call, or has not ended yet."""
        before, self._begun_before = self._begun_before, self.begun.value
        return self.begun.value != before or self.begun.read() > 0

    def forget(self) -> None:
        """Takes the scope out of the tree."""
        self._metrics.prune()


class OutcomesByName(dict[Name | None, PathStats], Generic[Name]):
    """Outcomes by name, *shown* as the scopes in *metrics*; looking one up creates it.

    Past `MAX_CHILDREN`, names share those called `other`, as do requests without a name.
    """

    __slots__ = ("_metrics", "_others", "_shown")

    def __init__(self, metrics: Tree, shown: Callable[[Name], str]) -> None:
        super().__init__()
        self._metrics = metrics
        self._shown = shown
        self._others: PathStats | None = None

    def __missing__(self, name: Name | None) -> PathStats:
        if name is None or len(self) >= MAX_CHILDREN:
            if self._others is None:
                self._others = PathStats(self._metrics.scope(OVERFLOW))
            return self._others
        self[name] = outcomes = NamedOutcomes(self._metrics.scope(self._shown(name)))
        return outcomes

    def sweep(self) -> None:
        """Forgets the names that were not used since the last call."""
        for name, outcomes in list(self.items()):
            if isinstance(outcomes, NamedOutcomes) and not outcomes.was_used():
                del self[name]
                outcomes.forget()

    def close(self) -> None:
        """Forgets all names: their scope itself may be one that others share."""
        for outcomes in self.values():
            if isinstance(outcomes, NamedOutcomes):
                outcomes.forget()
        self.clear()


class ClientStats(Outcomes):
    """The attempts of one client, in all and for each of `MAX_CHILDREN` names that use it.

    A request refused because of a loop is not an attempt.
    """

    __slots__ = ("_by_name", "_statuses", "by_endpoint")

    def __init__(self, metrics: Tree, *, by_endpoint: bool = False) -> None:
        super().__init__(metrics)
        self._statuses = Statuses(metrics)
        self._by_name: OutcomesByName[Path] = OutcomesByName(
            metrics.scope("service"), lambda name: name.show()[1:]
        )
        self.by_endpoint: OutcomesByName[str] | None = None
        """The attempts by endpoint, for the client to record; None if nobody asked for them."""
        if by_endpoint:
            self.by_endpoint = OutcomesByName(metrics.scope("endpoint"), str)

    def sweep(self) -> None:
        """Forgets the names and endpoints that were not used since the last call."""
        self._by_name.sweep()
        if self.by_endpoint is not None:
            self.by_endpoint.sweep()

    def close(self) -> None:
        """Forgets all names and endpoints."""
        self._by_name.close()
        if self.by_endpoint is not None:
            self.by_endpoint.close()

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves one attempt and records it."""
        named = self._by_name[request.dst]
        self.begun.value += 1
        named.begun.value += 1
        started = monotonic()
        try:
            response = service(request)
        except LoopDetected:
            self.begun.value -= 1
            named.begun.value -= 1
            raise
        except ProxyError as error:
            elapsed_ms = (monotonic() - started) * 1000.0
            self.failed(error.reason, elapsed_ms)
            named.failed(error.reason, elapsed_ms)
            self._statuses.failed(elapsed_ms)
            raise
        except BaseException:
            self.begun.value -= 1
            named.begun.value -= 1
            raise
        elapsed_ms = (response.arrived - started) * 1000.0
        status, add_ms = self._statuses[response.status]
        status.value += 1
        add_ms(elapsed_ms)
        ending = response.ending
        if ending is not None and not ending.is_settled:
            self.await_end(ending, response, elapsed_ms)
            named.await_end(ending, response, elapsed_ms)
        elif response.failed:
            self.failed(_CLASSIFIED, elapsed_ms)
            named.failed(_CLASSIFIED, elapsed_ms)
        else:
            self.success.value += 1
            add_ms = self.latency.add
            add_ms(elapsed_ms)
            named.success.value += 1
            add_ms = named.latency.add
            add_ms(elapsed_ms)
        return response
