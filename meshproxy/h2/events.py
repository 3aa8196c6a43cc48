"""What an HTTP/2 connection tells the code that runs it, by calls and without a queue."""

from typing import Protocol

from meshproxy.h2.fields import Fields, RequestHead, ResponseHead
from meshproxy.h2.stream import H2Stream


class H2Events(Protocol):
    """Called while received bytes are read, so each call returns at once and raises nothing.

    `ends` is True with the last of a stream that the peer sends. After `reset_received` and
    `stream_failed` a stream is closed, and what it has not consumed counts as consumed.
    """

    def data_received(self, stream: H2Stream, data: bytes | memoryview, ends: bool) -> None:
        """Takes a piece of a body, perhaps empty at its end; `consume` reports its use."""

    def trailers_received(self, stream: H2Stream, trailers: Fields) -> None:
        """Takes the fields after a body, which are the end of the stream."""

    def reset_received(self, stream: H2Stream, code: int) -> None:
        """Hears that the peer has reset the stream; with REFUSED_STREAM it has not processed it."""

    def stream_failed(self, stream: H2Stream, code: int, why: str) -> None:
        """Hears that the stream has been reset here, for a fault of the peer."""

    def window_opened(self, stream: H2Stream | None) -> None:
        """Hears that more may be sent on one stream, or with None perhaps on all of them."""

    def settings_received(self) -> None:
        """Hears that the peer's settings have arrived, or have changed."""

    def pong_received(self, payload: bytes) -> None:
        """Hears that a PING of ours has been answered."""

    def goaway_received(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Hears that no new streams are accepted; those not processed were reset before."""


class ServerEvents(H2Events, Protocol):
    """What a server is told besides."""

    def request_received(self, stream: H2Stream, head: RequestHead, ends: bool) -> None:
        """Begins a request."""

    def request_too_large(self, stream: H2Stream, ends: bool) -> None:
        """Refuses a request with more fields than the limits allow; 431 is a fitting response."""


class ClientEvents(H2Events, Protocol):
    """What a client is told besides."""

    def interim_received(self, stream: H2Stream, head: ResponseHead) -> None:
        """Takes an interim response, with a status from 100 to 199."""

    def response_received(self, stream: H2Stream, head: ResponseHead, ends: bool) -> None:
        """Begins the response."""
