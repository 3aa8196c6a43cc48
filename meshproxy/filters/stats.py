"""Counts requests as a server and the callers of a logical name see them, under Linkerd's names.

finagle: service/StatsFilter.scala, http/filter/StatsFilter.scala.
A request is recorded once its outcome is known: with the head of its response, or at the end of a
body that is still arriving. Latency is always that of the head.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.filters.outcomes import Outcomes, Statuses
from meshproxy.filters.streamed_bodies import StreamedBodies
from meshproxy.http.body import Body
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.request import CUT
from meshproxy.recent.requests import RecentRequests
from meshproxy.service import Service


class PathStats(Outcomes):
    """What the callers of one logical name see, retries included."""

    __slots__ = ("_add",)

    def __init__(self, metrics: Tree, *, streams: bool = False) -> None:
        super().__init__(metrics, streams=streams)
        whole = metrics.shared("whole", self.counters, self.times) if streams else self.success
        self._add = whole.add

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves and records."""
        self.begun.value += 1
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            self.raised(request, error.reason, (monotonic() - started) * 1000.0)
            raise
        except BaseException:
            self.begun.value -= 1
            raise
        elapsed_ms = (response.arrived - started) * 1000.0
        ending = response.ending
        if ending is not None and not ending.is_settled:
            body = response.body
            ending.then(partial(self.ended, request, response, body, started, elapsed_ms))
        elif response.failed:
            self.classified(request, response, elapsed_ms)
        else:
            add = self._add
            add(elapsed_ms)
            streams = self.streams
            if streams is not None:
                body = response.body
                if request.body is None and type(body) is bytes:  # without a call, as most are so
                    add = streams.add_size
                    add(len(body))
                else:
                    streams.whole(request, response, elapsed_ms)
        return response


class ServerStats(Outcomes):
    """What the clients of one server see, errors included.

    Requests of interest are recorded in *recent*, as those to *server* of the router *router*.
    """

    __slots__ = ("_adds", "_heads", "_recent", "_responses", "_uploads", "_where", "_whole")

    def __init__(
        self,
        metrics: Tree,
        recent: RecentRequests,
        router: str = "",
        server: str = "",
        *,
        streams: bool = False,
    ) -> None:
        super().__init__(metrics, streams=streams)
        self._heads = Statuses(metrics)
        self._whole = Statuses(metrics, self)
        self._adds: dict[int, Callable[[float], None]] = {}
        """Their `add` by status: a plain dictionary is quicker than one that makes its values."""
        self._uploads = StreamedBodies(metrics.scope("stream", "request"))
        self._responses = StreamedBodies(metrics.scope("stream", "response"))
        self._recent = recent
        self._where = router, server

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves and records."""
        is_upload = request.body is not None and not request.body.is_complete
        if is_upload:
            self._uploads.begin()
        self.begun.value += 1
        started = monotonic()
        try:
            response = service(request)
        except BaseException as error:
            elapsed_ms = (monotonic() - started) * 1000.0
            if is_upload:
                self._uploads.end(elapsed_ms)
            self._raised(request, error, elapsed_ms)
            raise
        headed = response.arrived
        elapsed_ms = (headed - started) * 1000.0
        if is_upload:
            self._uploads.end(elapsed_ms)
        ending = response.ending
        if response.failed or (ending is not None and not ending.is_settled):
            self._note(request, response, started, headed)
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
        if elapsed_ms >= self._recent.from_ms or request.earlier or status >= 400:
            router, server = self._where
            self._recent.passed(router, server, request, response, elapsed_ms)
        return response

    def _raised(self, request: Request, error: BaseException, elapsed_ms: float) -> None:
        if not isinstance(error, ProxyError):
            self.begun.value -= 1
            return
        self.raised(request, error.reason, elapsed_ms)
        self._heads.failed(elapsed_ms)
        self._recent.left(*self._where, request, error, elapsed_ms)

    def _note(self, request: Request, response: Response, started: float, headed: float) -> None:
        """Records *response*, which is a failure or whose body is still arriving."""
        elapsed_ms = (headed - started) * 1000.0
        self._heads[response.status].add(elapsed_ms)
        ending = response.ending
        if ending is None or ending.is_settled:
            self.classified(request, response, elapsed_ms)
            self._recent.ended(*self._where, request, response, elapsed_ms)
            return
        self._responses.begin()
        body = response.body
        ending.then(partial(self._body_ended, request, response, body, started, headed))

    def _body_ended(
        self,
        request: Request,
        response: Response,
        body: bytes | Body,
        started: float,
        headed: float,
        broken: bool,
    ) -> None:
        head_ms, body_ms = (headed - started) * 1000.0, (monotonic() - headed) * 1000.0
        self._responses.end(body_ms)
        self.ended(request, response, body, started, head_ms, broken)
        is_whole = getattr(body, "is_complete", True)
        early_end = CUT if broken else "" if is_whole else ClientGone.reason
        self._recent.ended(*self._where, request, response, head_ms, body_ms, early_end)
