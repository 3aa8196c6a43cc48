"""Errors say which code they mean, and where."""

from hyperframe.frame import GoAwayFrame, RstStreamFrame

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, malformed, too_large
from tests.kit.h2 import parsed


def test_a_connection_error_names_its_code() -> None:
    error = H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame of 99999 bytes")
    assert str(error) == "FRAME_SIZE_ERROR: a frame of 99999 bytes"
    (sent,) = parsed(frames.goaway(0, error.code))
    assert isinstance(sent, GoAwayFrame)
    assert sent.error_code == 6


def test_a_code_has_a_name_also_if_nobody_knows_it() -> None:
    assert ErrorCode.name_of(ErrorCode.CANCEL) == "cancel"
    assert ErrorCode.name_of(4711) == "unknown"


def test_a_stream_error_names_its_stream() -> None:
    error = malformed(5, "why")
    assert str(error) == "stream 5: PROTOCOL_ERROR: why"
    assert too_large(5).code is ErrorCode.ENHANCE_YOUR_CALM
    (sent,) = parsed(frames.rst_stream(error.stream_id, error.code))
    assert isinstance(sent, RstStreamFrame)
    assert (sent.stream_id, sent.error_code) == (5, 1)
