"""One stream: who may still send on it, its windows, and the calls for what arrives on it."""

from meshproxy.h2.fields import ResponseHead
from meshproxy.h2.states import StreamState
from meshproxy.http.headers import Headers


class H2Stream:
    """What a connection knows of a stream, all of which it sets when it opens it.

    Subclasses know what is to be done. Their methods are called while received bytes are read, so
    each returns at once and raises nothing. After `reset_received` and `failed` a stream is closed,
    and what it has not consumed counts as consumed.
    """

    __slots__ = (
        "body_left",
        "can_receive",
        "can_send",
        "consumed",
        "has_head",
        "head_bytes",
        "id",
        "is_bodiless",
        "is_released",
        "receive_window",
        "send_window",
        "unconsumed",
    )

    id: int
    can_send: bool
    can_receive: bool
    send_window: int
    """Bytes that the peer's window allows; below 0 after a setting that made it smaller."""
    receive_window: int
    """Bytes that the peer may still send; below 0 after a setting that made it smaller."""
    unconsumed: int
    """Bytes of DATA handed on and not yet consumed."""
    consumed: int
    """Bytes consumed and not yet granted again."""
    body_left: int | None
    """Bytes that Content-Length still promises, None without it."""
    has_head: bool
    """True once the final head has been received."""
    is_bodiless: bool
    """For clients: True if the response has no body, whatever its Content-Length (HEAD)."""
    head_bytes: int
    """For servers: of a large head, until the stream is closed and released; 0 for others."""
    is_released: bool
    """For servers: False while something works for it, until `H2Server.release`."""

    @property
    def state(self) -> StreamState:
        """The state that follows from who may still send."""
        if self.can_send:
            return StreamState.OPEN if self.can_receive else StreamState.HALF_CLOSED_REMOTE
        return StreamState.HALF_CLOSED_LOCAL if self.can_receive else StreamState.CLOSED

    def interim_received(self, head: ResponseHead) -> None:
        """Takes an interim response, with a status from 100 to 199; for clients."""
        raise NotImplementedError

    def response_received(self, head: ResponseHead, ends: bool) -> None:
        """Begins the response, whose head may be all of it; for clients."""
        raise NotImplementedError

    def data_received(self, data: bytes | memoryview, ends: bool) -> None:
        """Takes a piece of a body, perhaps empty at its end; `consume` reports its use."""
        raise NotImplementedError

    def trailers_received(self, trailers: Headers) -> None:
        """Takes the trailers, which end the message, and must not be changed."""
        raise NotImplementedError

    def reset_received(self, code: int) -> None:
        """Called when the peer has reset the stream; with REFUSED_STREAM, it was not processed."""
        raise NotImplementedError

    def failed(self, code: int, why: str) -> None:
        """Called when the stream has been reset here, for a fault of the peer."""
        raise NotImplementedError

    def window_opened(self) -> None:
        """Called when more may be sent on the stream."""
        raise NotImplementedError
