"""A stream takes its steps and knows what may still happen on it."""

import pytest

from meshproxy.h2.states import StreamState, StreamStep
from meshproxy.h2.stream import H2Stream
from meshproxy.h2.window import ReceiveWindow


def stream() -> H2Stream:
    return H2Stream(1, 65535, ReceiveWindow(65535, 0.5, 65535))


@pytest.mark.parametrize(
    ("steps", "state", "can_send", "can_receive", "was_reset"),
    [
        ([], StreamState.OPEN, True, True, False),
        ([StreamStep.SEND_END], StreamState.HALF_CLOSED_LOCAL, False, True, False),
        ([StreamStep.RECEIVE_END], StreamState.HALF_CLOSED_REMOTE, True, False, False),
        ([StreamStep.RECEIVE_END, StreamStep.SEND_END], StreamState.CLOSED, False, False, False),
        ([StreamStep.SEND_END, StreamStep.RECEIVE_END], StreamState.CLOSED, False, False, False),
        ([StreamStep.RECEIVE_END, StreamStep.SEND_RESET], StreamState.RESET, False, False, True),
        ([StreamStep.RECEIVE_RESET], StreamState.CLOSED, False, False, True),
    ],
)
def test_steps_lead_on(
    steps: list[StreamStep], state: StreamState, can_send: bool, can_receive: bool, was_reset: bool
) -> None:
    made = stream()
    for step in steps:
        made.step(step)
    assert made.state is state
    assert (made.can_send, made.can_receive, made.was_reset) == (can_send, can_receive, was_reset)


def test_a_step_that_cannot_be_taken_is_an_error() -> None:
    made = stream()
    made.step(StreamStep.SEND_END)
    with pytest.raises(KeyError):
        made.step(StreamStep.SEND_END)
