"""One stream: its state and its windows."""

from typing import Any

from meshproxy.h2.states import NEXT, StreamState, StreamStep
from meshproxy.h2.window import ReceiveWindow


class H2Stream:
    """What a connection knows of a stream; `owner` belongs to whoever uses the engine."""

    __slots__ = (
        "body_left",
        "can_receive",
        "can_send",
        "has_head",
        "id",
        "is_bodiless",
        "is_released",
        "last_step",
        "owner",
        "send_window",
        "state",
        "unconsumed",
        "window",
    )

    def __init__(self, stream_id: int, send_window: int, window: ReceiveWindow) -> None:
        self.id = stream_id
        self.state = StreamState.OPEN
        self.last_step = StreamStep.BEGIN
        self.can_send = self.can_receive = True
        self.send_window = send_window
        """Bytes that the peer's window allows; below 0 after a setting that made it smaller."""
        self.window = window
        self.unconsumed = 0
        """Bytes of DATA handed on and not yet consumed."""
        self.body_left: int | None = None
        """Bytes that Content-Length still promises, None without it."""
        self.has_head = False
        """True once the final head has been received."""
        self.is_bodiless = False
        """True if the answer to this request has no body, whatever its Content-Length (HEAD)."""
        self.is_released = False
        self.owner: Any = None

    @property
    def was_reset(self) -> bool:
        """True if a side has given the stream up, which ends both directions."""
        return self.last_step is StreamStep.SEND_RESET or self.last_step is StreamStep.RECEIVE_RESET

    def step(self, step: StreamStep) -> None:
        """Goes to the next state. Raises KeyError for a step that cannot be taken."""
        state = self.state = NEXT[self.state, step]
        self.last_step = step
        self.can_send = state is StreamState.OPEN or state is StreamState.HALF_CLOSED_REMOTE
        self.can_receive = state is StreamState.OPEN or state is StreamState.HALF_CLOSED_LOCAL
