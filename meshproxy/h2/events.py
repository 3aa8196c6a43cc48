"""What an HTTP/2 connection tells the code that runs it, by calls and without a queue.

What concerns one stream, `H2Stream` is told.
"""

from typing import Protocol

from meshproxy.h2.fields import RequestHead
from meshproxy.h2.stream import H2Stream


class H2Events(Protocol):
    """Called while received bytes are read, so each call returns at once and raises nothing."""

    def window_opened(self) -> None:
        """Called when more may be sent, perhaps on all streams."""

    def stream_windows_opened(self) -> None:
        """Called when a setting has enlarged all windows of streams; `window_opened` follows."""

    def pong_received(self, payload: bytes) -> None:
        """Called when a PING of ours has been answered."""

    def goaway_received(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Called when the peer accepts no new streams; those not processed were reset before."""


class ServerEvents(H2Events, Protocol):
    """What a server is told besides."""

    def request_received(self, stream_id: int, head: RequestHead | None, ends: bool) -> H2Stream:
        """Returns the stream of a request, which is open from then on; *ends* if nothing follows.

        *head* is None if it has more fields than the limits allow; 431 is a fitting response.
        """
        ...

    def stream_refused(self) -> None:
        """Called when a request was refused, as too many are in progress."""

    def large_heads(self, size: int) -> None:
        """Called with the bytes that the large heads of all requests in progress have now."""
