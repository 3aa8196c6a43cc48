"""What each type of frame says, or why it is refused."""

from typing import Any

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.payloads import MAX_BLOCK_BYTES, MAX_CONTINUATIONS
from meshproxy.h2.reader import FrameReader
from tests.kit.h2 import GET, SETTINGS, Recorder, frame

PRIORITY_FIELDS = b"\0\0\0\7\x0f"
"""Depends on stream 7."""


def read(*received: bytes) -> list[tuple[Any, ...]]:
    """Return what a handler is told after SETTINGS."""
    recorder = Recorder()
    reader = FrameReader(recorder, 1 << 20, b"")
    for each in (SETTINGS, *received):
        reader.feed(each)
    return recorder.events[1:]


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (frame(frames.DATA, 8, 1, b"\1ab\0"), ("data_frame", 1, b"ab", 4, False)),
        (frame(frames.HEADERS, 0xD, 1, b"\2" + GET + b"\0\0"), ("block", 1, GET, True)),
        (frame(frames.HEADERS, 0x24, 1, PRIORITY_FIELDS + GET), ("block", 1, GET, False)),
        (frame(frames.PRIORITY, 0, 1, PRIORITY_FIELDS), ("meaningless_frame", None)),
        (frame(99, 0, 1, b"anything"), ("meaningless_frame", None)),
        (frame(frames.RST_STREAM, 0, 1, b"\0\0\0\7"), ("rst_stream_frame", 1, 7)),
        (frame(frames.SETTINGS, 0, 0, b"\0\4\0\0\0\1"), ("settings_frame", b"\0\4\0\0\0\1")),
        (frame(frames.SETTINGS, 1, 0), ("settings_ack_frame", None)),
        (frame(frames.PING, 1, 0, b"8 bytes."), ("ping_frame", b"8 bytes.", True)),
        (frame(frames.GOAWAY, 0, 0, b"\x80\0\0\3\0\0\0\7why"), ("goaway_frame", 3, 7, b"why")),
        (frame(frames.WINDOW_UPDATE, 1, 0, b"\x80\0\0\5"), ("window_update_frame", 0, 5)),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_what_a_frame_says(received: bytes, told: tuple[Any, ...]) -> None:
    assert read(received) == [told]


@pytest.mark.parametrize("kind", [frames.SETTINGS, frames.PING, frames.GOAWAY])
def test_some_frames_are_of_the_connection(kind: int) -> None:
    with pytest.raises(H2ConnectionError, match="on a stream") as caught:
        read(frame(kind, 0, 1, b"8 bytes."))
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("kind", [frames.DATA, frames.HEADERS, frames.PRIORITY, frames.RST_STREAM])
def test_some_frames_are_of_a_stream(kind: int) -> None:
    with pytest.raises(H2ConnectionError, match="on stream 0") as caught:
        read(frame(kind, 4, 0, b"four"))
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR


def test_a_stream_that_depends_on_itself_is_reset_after_its_block() -> None:
    fields = b"\0\0\0\1\x0f"
    events = read(frame(frames.HEADERS, 0x25, 1, fields + GET))
    assert [event[0] for event in events] == ["block", "stream_error"]


def test_a_block_over_several_frames_is_given_whole_and_once() -> None:
    pieces = [GET[at : at + 1] for at in range(len(GET))]
    first, *others, last = pieces
    assert read(
        frame(frames.HEADERS, 1, 1, first),
        *(frame(frames.CONTINUATION, 0, 1, each) for each in others),
        frame(frames.CONTINUATION, 4, 1, last),
    ) == [("block", 1, GET, True)]


@pytest.mark.parametrize(
    "received",
    [
        frame(frames.HEADERS, 4, 1, b"x" * (MAX_BLOCK_BYTES + 1)),
        frame(frames.HEADERS, 0, 1, b"x" * MAX_BLOCK_BYTES) + frame(9, 0, 1, b"x"),
        frame(frames.HEADERS, 0, 1) + frame(9, 0, 1) * (MAX_CONTINUATIONS + 1),
    ],
    ids=["one frame", "two frames", "frames"],
)
def test_a_block_is_bounded_in_bytes_and_in_frames(received: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        read(received)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
