"""One stream: who may still send on it, and its windows."""

from typing import Any

from meshproxy.h2.states import StreamState


class H2Stream:
    """What a connection knows of a stream; `owner` belongs to whoever uses the engine."""

    __slots__ = (
        "body_left",
        "can_receive",
        "can_send",
        "consumed",
        "has_head",
        "id",
        "is_bodiless",
        "is_released",
        "owner",
        "receive_window",
        "send_window",
        "unconsumed",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.id = stream_id
        self.can_send = self.can_receive = True
        self.send_window = send_window
        """Bytes that the peer's window allows; below 0 after a setting that made it smaller."""
        self.receive_window = receive_window
        """Bytes that the peer may still send; below 0 after a setting that made it smaller."""
        self.unconsumed = 0
        """Bytes of DATA handed on and not yet consumed."""
        self.consumed = 0
        """Bytes consumed and not yet granted again."""
        self.body_left: int | None = None
        """Bytes that Content-Length still promises, None without it."""
        self.has_head = False
        """True once the final head has been received."""
        self.is_bodiless = False
        """True if the answer to this request has no body, whatever its Content-Length (HEAD)."""
        self.is_released = True
        """False while something works for it that `H2Server.release` has not heard the end of."""
        self.owner: Any = None

    @property
    def state(self) -> StreamState:
        """The state that follows from who may still send."""
        if self.can_send:
            return StreamState.OPEN if self.can_receive else StreamState.HALF_CLOSED_REMOTE
        return StreamState.HALF_CLOSED_LOCAL if self.can_receive else StreamState.CLOSED
