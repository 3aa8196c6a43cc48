"""Counts the bodies that a server streams (finagle: http/filter/..., StreamingStatsFilter)."""

from meshproxy.metrics.tree import Tree


class StreamedBodies:
    """Bodies that were still arriving when their heads were passed on, in one direction."""

    __slots__ = ("_closed", "_duration_ms", "_opened")

    def __init__(self, metrics: Tree) -> None:
        self._opened = opened = metrics.counter("opened")
        self._closed = closed = metrics.counter("closed")
        self._duration_ms = metrics.stat("duration_ms")
        metrics.gauge("pending", fn=lambda: opened.value - closed.value)

    def begin(self) -> None:
        """Counts a body that is still arriving."""
        self._opened.value += 1

    def end(self, elapsed_ms: float) -> None:
        """Counts its end, *elapsed_ms* later."""
        self._closed.value += 1
        self._duration_ms.add(elapsed_ms)
