"""The states that follow from who may still send."""

import pytest

from meshproxy.h2.states import StreamState
from meshproxy.h2.stream import H2Stream


@pytest.mark.parametrize(
    ("can_send", "can_receive", "state"),
    [
        (True, True, StreamState.OPEN),
        (False, True, StreamState.HALF_CLOSED_LOCAL),
        (True, False, StreamState.HALF_CLOSED_REMOTE),
        (False, False, StreamState.CLOSED),
    ],
)
def test_the_state(can_send: bool, can_receive: bool, state: StreamState) -> None:
    stream = H2Stream()
    stream.can_send, stream.can_receive = can_send, can_receive
    assert stream.state is state
