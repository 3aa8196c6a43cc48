"""Counts requests as a server and the callers of a logical name see them, under Linkerd's names.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
A request is recorded once its outcome is known: with the head of its response, or at the end of a
body that is still arriving. Latency is always that of the head.
"""

from functools import partial
from time import monotonic

from meshproxy.errors import ProxyError
from meshproxy.filters.outcomes import CLASSIFIED, Outcomes, Statuses
from meshproxy.filters.streamed_bodies import StreamedBodies
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.service import Service


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
            self.failed(CLASSIFIED, elapsed_ms)
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
            self.failed(CLASSIFIED, elapsed_ms)
            self._recent.ended(*self._where, request, response, elapsed_ms)
        else:
            self.success.value += 1
            add_ms = self.latency.add
            add_ms(elapsed_ms)
            if elapsed_ms >= self._recent.from_ms or request.earlier or response.status >= 400:
                self._recent.ended(*self._where, request, response, elapsed_ms)
        return response
