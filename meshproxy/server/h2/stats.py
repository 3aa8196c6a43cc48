"""What a server counts of its HTTP/2 connections (linkerd: finagle/h2/.../StreamStatsFilter.scala).

Requests and their outcomes are counted by filters, as for HTTP/1.
"""

from meshproxy.h2.errors import ErrorCode
from meshproxy.metrics.tree import Tree


class H2ServerStats:
    """Counters and gauges in a server's scope; all of its connections share them."""

    __slots__ = (
        "_goaways",
        "local_resets",
        "open",
        "refused",
        "remote_resets",
        "stalled",
        "streams",
        "unended",
    )

    def __init__(self, metrics: Tree) -> None:
        self.open = metrics.gauge("h2", "connections")
        self.streams = metrics.gauge("open_streams")
        self.remote_resets = metrics.counter("stream", "remote", "reset")
        self.local_resets = metrics.counter("stream", "local", "reset")
        self.refused = metrics.counter("stream", "refused")
        self.stalled = metrics.counter("stream", "write_timeout")
        self.unended = metrics.counter("stream", "unended")
        self._goaways = metrics.scope("goaways")

    def gone_away(self, code: int) -> None:
        """Counts a connection that ended with GOAWAY and an error."""
        self._goaways.counter(ErrorCode.name_of(code)).incr()
