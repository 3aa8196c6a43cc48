"""The tables say what RFC 9113 section 5.1 draws."""

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.errors import H2ConnectionError, H2StreamError
from meshproxy.h2.states import RECEIVED, FrameVerdict, StreamState, check_late


def test_every_state_and_type_has_a_verdict() -> None:
    kinds = {frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.WINDOW_UPDATE}
    assert RECEIVED.keys() == {(state, kind) for state in StreamState for kind in kinds}


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
