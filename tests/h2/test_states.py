"""The tables say what RFC 9113 section 5.1 draws."""

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.errors import H2ConnectionError, H2StreamError
from meshproxy.h2.states import NEXT, RECEIVED, FrameVerdict, StreamState, StreamStep, check_late

ENDS = {StreamState.CLOSED, StreamState.RESET}


def test_every_state_and_type_has_a_verdict() -> None:
    kinds = {frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.WINDOW_UPDATE}
    assert RECEIVED.keys() == {(state, kind) for state in StreamState for kind in kinds}


def test_a_reset_ends_a_stream_in_every_state_that_is_open() -> None:
    for state in set(StreamState) - ENDS - {StreamState.IDLE}:
        assert NEXT[state, StreamStep.SEND_RESET] is StreamState.RESET
        assert NEXT[state, StreamStep.RECEIVE_RESET] is StreamState.CLOSED


def test_nothing_leads_out_of_an_end_and_each_direction_ends_once() -> None:
    assert not {state for state, _ in NEXT} & ENDS
    assert (StreamState.HALF_CLOSED_LOCAL, StreamStep.SEND_END) not in NEXT
    assert (StreamState.HALF_CLOSED_REMOTE, StreamStep.RECEIVE_END) not in NEXT


@pytest.mark.parametrize(("state", "kind"), RECEIVED)
def test_what_comes_late_is_raised_as_the_table_says(state: StreamState, kind: int) -> None:
    expected = {
        FrameVerdict.STREAM_CLOSED: H2StreamError,
        FrameVerdict.CONNECTION_STREAM_CLOSED: H2ConnectionError,
        FrameVerdict.CONNECTION_PROTOCOL_ERROR: H2ConnectionError,
    }.get(RECEIVED[state, kind])
    if expected is None:
        check_late(1, state, kind)
        return
    with pytest.raises(expected, match=state.value.replace("(", r"\(").replace(")", r"\)")):
        check_late(1, state, kind)
