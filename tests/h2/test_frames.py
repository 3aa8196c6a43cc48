"""Frames that are written are read by hyperframe."""

import pytest

from meshproxy.h2 import frames
from tests.kit.h2 import parsed, read_head


@pytest.mark.parametrize(
    ("raw", "kind", "stream_id", "attribute", "value"),
    [
        (frames.rst_stream(3, 8), "RstStreamFrame", 3, "error_code", 8),
        (frames.settings([(4, 9), (1, 0)]), "SettingsFrame", 0, "settings", {4: 9, 1: 0}),
        (frames.SETTINGS_ACK, "SettingsFrame", 0, "flags", {"ACK"}),
        (frames.ping(b"8 bytes.", is_answer=True), "PingFrame", 0, "opaque_data", b"8 bytes."),
        (frames.goaway(5, 2, b"why"), "GoAwayFrame", 0, "additional_data", b"why"),
        (frames.window_update(7, 99), "WindowUpdateFrame", 7, "window_increment", 99),
        (frames.head(0, 0, 1, 9), "DataFrame", 9, "flags", {"END_STREAM"}),
    ],
)
def test_a_frame_reads_as_it_was_written(
    raw: bytes, kind: str, stream_id: int, attribute: str, value: object
) -> None:
    (frame,) = parsed(raw)
    assert (type(frame).__name__, frame.stream_id) == (kind, stream_id)
    assert getattr(frame, attribute) == value


@pytest.mark.parametrize("length", [0, 10, 11, 20, 25])
def test_a_long_block_goes_on_in_continuation_frames(length: int) -> None:
    block = bytes(range(length))
    found = parsed(frames.headers(1, block, 10, ends=True))
    assert b"".join(frame.data for frame in found) == block
    assert [type(frame).__name__ for frame in found] == [
        "HeadersFrame", *["ContinuationFrame"] * max(0, -(-length // 10) - 1),
    ]  # fmt: skip
    assert ["END_HEADERS" in frame.flags for frame in found] == [
        *[False] * (len(found) - 1), True,
    ]  # fmt: skip
    assert "END_STREAM" in found[0].flags


def test_a_head_is_nine_bytes() -> None:
    raw = frames.head(1 << 20, 7, 3, 5)
    assert len(raw) == frames.HEAD_BYTES
    assert read_head(raw) == (1 << 20, 7, 3, 5)


def test_a_number_is_read_without_the_reserved_bit_and_a_code_with_it() -> None:
    assert frames.read_long(b"\xff\xff\xff\xff") == frames.MAX_STREAM_ID
    assert frames.read_code(b"\xff\xff\xff\xff") == 2**32 - 1
