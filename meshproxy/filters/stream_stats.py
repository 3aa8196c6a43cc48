"""Counts streams of HTTP/2, their bytes and their times, under Linkerd's names.

linkerd: linkerd/protocol/h2/.../StreamStatsFilter.scala. A stream is recorded when its response has
ended; its latency is that of the end, where `filters.outcomes` has that of the head.
"""

from typing import Any

from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Stat, Total
from meshproxy.metrics.tree import Tree
from meshproxy.net.h2.whole import Whole

_CUT = "cut"
_CANCELLED = "cancelled"
_INCOMPLETE = "incomplete"


class StreamOutcomes:
    """Successes, failures by reason, bytes of DATA and time of the streams of one kind."""

    __slots__ = ("_failures", "_metrics", "size", "success", "successes", "times")

    def __init__(self, metrics: Tree, duration: str) -> None:
        self._metrics = metrics
        self._failures = metrics.counter("stream_failures")
        self.successes = metrics.total("stream_success")
        self.times = metrics.stat(duration)
        self.success = metrics.shared("success", (self.successes,), (self.times,))
        self.size = metrics.stat("data_bytes")

    def ended(self, reason: str, size: int, elapsed_ms: float) -> None:
        """Records a stream; it is a failure if there is a *reason*."""
        if reason:
            self._failures.value += 1
            self._metrics.counter("failures", reason).value += 1
            self.times.add(elapsed_ms)
        else:
            self.success.add(elapsed_ms)
        self.size.add(size)


class StreamStats:
    """The streams of one scope: `stream` is both directions together.

    A request without a body counts for `stream` alone.
    """

    __slots__ = (
        "_add_back", "_add_both", "_add_sent", "_both", "_request", "_response", "_sent",
        "add_size", "counters", "times",
    )  # fmt: skip

    def __init__(self, metrics: Tree) -> None:
        self._both = both = StreamOutcomes(metrics.scope("stream"), "total_latency_ms")
        self._request = there = StreamOutcomes(
            metrics.scope("request", "stream"), "stream_duration_ms"
        )
        self._response = back = StreamOutcomes(
            metrics.scope("response", "stream"), "stream_duration_ms"
        )
        self.counters: tuple[Total, ...] = (back.successes, both.successes)
        self.times: tuple[Stat, ...] = (back.times, both.times)
        """Where the response and both directions of a stream that came whole are recorded."""
        self.add_size = metrics.shared("data_bytes", (), (back.size, both.size)).add
        """Records the bytes of such a response to a request without a body."""
        self._sent = there.success
        self._add_sent, self._add_back, self._add_both = (
            kind.size.add for kind in (there, back, both)
        )

    def whole(self, request: Request, response: Response, elapsed_ms: float) -> None:
        """Records a response that came whole, but for what `counters` and `times` have of it."""
        body, upload = response.body, request.body
        if type(body) is bytes:
            size = len(body)
        else:
            size = body.received if type(body) is Whole else _received(body)
        if upload is None:
            add = self.add_size
            add(size)
            return
        if type(upload) is Whole:
            sent, has_ended = upload.received, True
        else:
            sent, has_ended = _received(upload), upload.is_complete
        if has_ended:
            add = self._sent.add
            add(elapsed_ms)
            add = self._add_sent
            add(sent)
        else:
            self._request.ended(_INCOMPLETE, sent, elapsed_ms)
        add = self._add_back
        add(size)
        add = self._add_both
        add(sent + size)

    def ended(self, request: Request, body: Any, elapsed_ms: float, broken: bool) -> None:
        """Records the response's *body* at its end, *elapsed_ms* after the request began."""
        is_complete = getattr(body, "is_complete", True)
        reason = _CUT if broken else "" if is_complete else _CANCELLED
        self.record(request, body, reason, elapsed_ms)

    def record(self, request: Request, body: Any, reason: str, elapsed_ms: float) -> None:
        """Records a stream; it is a failure if there is a *reason*."""
        upload, sent = request.body, 0
        size = len(body) if type(body) is bytes else _received(body)
        if upload is not None:
            sent = _received(upload)
            why = reason or ("" if upload.is_complete else _INCOMPLETE)
            self._request.ended(why, sent, elapsed_ms)
        self._response.ended(reason, size, elapsed_ms)
        self._both.ended(reason, sent + size, elapsed_ms)


def _received(body: Any) -> int:
    """Returns the bytes that came on a stream of HTTP/2; 0 for bodies of HTTP/1."""
    count: int = getattr(body, "received", 0)
    return count
