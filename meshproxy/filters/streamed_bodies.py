"""Counts the bodies that a server streams (finagle: http/filter/..., StreamingStatsFilter)."""

from collections.abc import Callable
from time import monotonic

from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service


class StreamedBodies:
    """Bodies that were still arriving when their heads were passed on, in one direction."""

    __slots__ = ("_closed", "_duration_ms", "_opened")

    def __init__(self, metrics: Tree) -> None:
        self._opened = opened = metrics.counter("opened")
        self._closed = closed = metrics.counter("closed")
        self._duration_ms = metrics.stat("duration_ms")
        metrics.gauge("pending", fn=lambda: opened.value - closed.value)

    def through(self, service: Service[Request, Response], request: Request) -> Response:
        """Serves *request*, whose body is a stream that ends with the head of its response."""
        end = self._begin()
        try:
            return service(request)
        finally:
            end()

    def until(self, ending: Ending) -> None:
        """Counts the body of a response as open until *ending*."""
        end = self._begin()
        ending.then(lambda _broken: end())

    def _begin(self) -> Callable[[], None]:
        self._opened.value += 1
        began = monotonic()

        def end() -> None:
            self._closed.value += 1
            self._duration_ms.add((monotonic() - began) * 1000.0)

        return end
