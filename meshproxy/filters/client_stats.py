"""Counts the attempts of a client, by the logical name and the endpoint too, under Linkerd's names.

finagle: service/StatsFilter.scala; Linkerd: the scopes of a client's `service`.
"""

from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from meshproxy.errors import LoopDetected, ProxyError
from meshproxy.filters.outcomes import CLASSIFIED, Outcomes, Statuses
from meshproxy.filters.stats import PathStats
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import MAX_CHILDREN, OVERFLOW, Tree
from meshproxy.naming.path import Path
from meshproxy.service import Service

Name = TypeVar("Name")


class NamedOutcomes(PathStats):
    """The outcomes of one of several names; its scope is kept until `forget`."""

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

    __slots__ = ("_adds", "_by_name", "_heads", "_whole", "by_endpoint")

    def __init__(self, metrics: Tree, *, by_endpoint: bool = False, streams: bool = False) -> None:
        super().__init__(metrics, streams=streams)
        self._heads = Statuses(metrics)
        self._whole = Statuses(metrics, self)
        self._adds: dict[int, Callable[[float], None]] = {}
        """Their `add` by status: a plain dictionary is quicker than one that makes its values."""
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
        except BaseException as error:
            self._raised(request, named, error, (monotonic() - started) * 1000.0)
            raise
        elapsed_ms = (response.arrived - started) * 1000.0
        ending = response.ending
        if response.failed or (ending is not None and not ending.is_settled):
            self._note(request, named, response, started)
            return response
        status = response.status
        try:
            add = self._adds[status]
        except KeyError:
            add = self._adds[status] = self._whole[status].add
        add(elapsed_ms)
        streams = self.streams
        if streams is not None:
            body = response.body
            if request.body is None and type(body) is bytes:  # without a call, as most are so
                add = streams.add_size
                add(len(body))
            else:
                streams.whole(request, response, elapsed_ms)
        add = named.success.add
        add(elapsed_ms)
        return response

    def _raised(
        self, request: Request, named: PathStats, error: BaseException, elapsed_ms: float
    ) -> None:
        if isinstance(error, ProxyError) and not isinstance(error, LoopDetected):
            self.raised(request, error.reason, elapsed_ms)
            named.failed(error.reason, elapsed_ms)
            self._heads.failed(elapsed_ms)
            return
        self.begun.value -= 1
        named.begun.value -= 1
        if isinstance(error, LoopDetected) and self.streams is not None:
            self.streams.record(request, b"", error.reason, elapsed_ms)

    def _note(self, request: Request, named: PathStats, response: Response, started: float) -> None:
        """Records *response*, which is a failure or whose body is still arriving."""
        elapsed_ms = (response.arrived - started) * 1000.0
        self._heads[response.status].add(elapsed_ms)
        ending = response.ending
        if ending is None or ending.is_settled:
            self.classified(request, response, elapsed_ms)
            named.failed(CLASSIFIED, elapsed_ms)
            return
        body = response.body

        def ended(broken: bool) -> None:
            self.ended(request, response, body, started, elapsed_ms, broken)
            named.settle(response, elapsed_ms, broken)

        ending.then(ended)
