"""Counts streams of HTTP/2, their bytes and their times, under Linkerd's names.

linkerd: linkerd/protocol/h2/.../StreamStatsFilter.scala. A stream is recorded when its response has
ended; its latency is that of the end, where `filters.stats` has that of the head.
"""

from functools import partial
from time import monotonic
from typing import Any

from meshproxy.errors import ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_CUT = "cut"
_CANCELLED = "cancelled"
_INCOMPLETE = "incomplete"


class StreamOutcomes:
    """Successes, failures by reason, bytes of DATA and time of the streams of one kind.

    Hot code writes `success` or calls `failed`, and then calls `add_size` and `add_ms`.
    """

    __slots__ = ("_failures", "_metrics", "add_ms", "add_size", "success")

    def __init__(self, metrics: Tree, duration: str) -> None:
        self._metrics = metrics
        self.success = metrics.counter("stream_success")
        self._failures = metrics.counter("stream_failures")
        self.add_size = metrics.stat("data_bytes").add
        self.add_ms = metrics.stat(duration).add

    def failed(self, reason: str) -> None:
        """Counts a failure."""
        self._failures.value += 1
        self._metrics.counter("failures", reason).value += 1


class StreamStats:
    """The streams of one scope: `stream` is both directions together.

    A request without a body counts for `stream` alone.
    """

    __slots__ = ("_both", "_request", "_response")

    def __init__(self, metrics: Tree) -> None:
        self._both = StreamOutcomes(metrics.scope("stream"), "total_latency_ms")
        self._request = StreamOutcomes(metrics.scope("request", "stream"), "stream_duration_ms")
        self._response = StreamOutcomes(metrics.scope("response", "stream"), "stream_duration_ms")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves and records."""
        started = monotonic()
        try:
            response = service(request)
        except ProxyError as error:
            self._record(request, error.reason, 0, started)
            raise
        ending, body = response.ending, response.body
        if ending is None or ending.is_settled:
            size = len(body) if type(body) is bytes else _received(body)
            if request.body is not None:
                self._record(request, "", size, started)
                return response
            elapsed_ms = (monotonic() - started) * 1000.0
            back, both = self._response, self._both
            back.success.value += 1
            both.success.value += 1
            add = back.add_size
            add(size)
            add = both.add_size
            add(size)
            add = back.add_ms
            add(elapsed_ms)
            add = both.add_ms
            add(elapsed_ms)
            return response
        ending.then(partial(self._ended, request, body, started))
        return response

    def _ended(self, request: Request, body: Any, started: float, broken: bool) -> None:
        is_complete = getattr(body, "is_complete", True)
        reason = _CUT if broken else "" if is_complete else _CANCELLED
        self._record(request, reason, _received(body), started)

    def _record(self, request: Request, reason: str, size: int, started: float) -> None:
        elapsed_ms = (monotonic() - started) * 1000.0
        body = request.body
        kinds: tuple[tuple[StreamOutcomes, str, int], ...]
        if body is None:
            kinds = (self._response, reason, size), (self._both, reason, size)
        else:
            sent = _received(body)
            kinds = (
                (self._request, reason or ("" if body.is_complete else _INCOMPLETE), sent),
                (self._response, reason, size),
                (self._both, reason, sent + size),
            )
        for streams, why, count in kinds:
            if why:
                streams.failed(why)
            else:
                streams.success.value += 1
            add = streams.add_size
            add(count)
            add = streams.add_ms
            add(elapsed_ms)


def _received(body: Any) -> int:
    """Returns the bytes that came on a stream of HTTP/2; 0 for bodies of HTTP/1."""
    count: int = getattr(body, "received", 0)
    return count
