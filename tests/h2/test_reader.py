"""Frames are cut out of bytes the same way however those come."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import frames
from meshproxy.h2.errors import H2ConnectionError, malformed
from meshproxy.h2.reader import COPIED_BYTES, FrameReader
from tests.kit.h2 import GET, SETTINGS, Recorder, data, frame, headers

WHOLE = (
    frames.PREFACE
    + SETTINGS
    + frame(frames.HEADERS, 0, 1, GET[:3])
    + frame(frames.CONTINUATION, 4, 1, GET[3:])
    + data(1, b"x" * 5000)
    + frame(frames.DATA, 9, 1, b"\2ab\0\0")
    + frames.window_update(1, 5)
    + frames.goaway(3, 0xFFFFFFFF, b"why")
)


def read(pieces: list[bytes], max_frame_bytes: int = 16384) -> list[tuple[Any, ...]]:
    recorder = Recorder()
    reader = FrameReader(recorder, max_frame_bytes, frames.PREFACE)
    for piece in pieces:
        reader.feed(piece)
    return recorder.events


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_the_cuts_do_not_matter(cuts: list[int]) -> None:
    pieces = [WHOLE[a:b] for a, b in pairwise(sorted({0, *cuts, len(WHOLE)}))]
    assert read(pieces) == [
        ("settings_frame", b""),
        ("block", 1, GET, False),
        ("data_frame", 1, b"x" * 5000, 5000, False),
        ("data_frame", 1, b"ab", 5, True),
        ("window_update_frame", 1, 5),
        ("goaway_frame", 3, 0xFFFFFFFF, b"why"),
    ]


@pytest.mark.parametrize(
    ("length", "kind"), [(COPIED_BYTES, bytes), (COPIED_BYTES + 1, memoryview)]
)
def test_large_payloads_are_views(length: int, kind: type) -> None:
    seen: list[object] = []
    recorder = Recorder()
    recorder.data_frame = lambda *arguments: seen.append(arguments[1])
    reader = FrameReader(recorder, 16384, b"")
    reader.feed(SETTINGS + data(1, b"x" * length))
    assert [type(each) for each in seen] == [kind]


def test_what_follows_the_end_of_a_frame_is_not_copied() -> None:
    seen: list[memoryview] = []
    recorder = Recorder()
    recorder.data_frame = lambda *arguments: seen.append(arguments[1])
    reader = FrameReader(recorder, 16384, b"")
    reader.feed(SETTINGS + data(1, b"x" * 16384)[:5])
    rest = data(1, b"x" * 16384)[5:] + data(3, b"y" * 16384) * 2
    reader.feed(rest)
    assert [len(each) for each in seen] == [16384] * 3
    assert [each.obj is rest for each in seen] == [False, True, True]


def test_a_frame_may_be_as_large_as_allowed_and_comes_in_linear_time() -> None:
    large = data(1, b"x" * 100_000)
    pieces = [large[at : at + 1000] for at in range(0, len(large), 1000)]
    assert read([frames.PREFACE + SETTINGS, *pieces], 100_000)[1][3] == 100_000
    with pytest.raises(H2ConnectionError, match="a frame of 100000 bytes"):
        read([frames.PREFACE + SETTINGS, large[:9]], 99_999)


def test_a_frame_that_drips_in_is_held_in_few_pieces() -> None:
    reader = FrameReader(recorder := Recorder(), 16384, b"")
    for byte in SETTINGS + data(1, b"x" * 16384):
        reader.feed(bytes([byte]))
        assert len(reader._pieces) <= 65
    assert recorder.events[1][2] == b"x" * 16384


def test_a_stream_error_does_not_stop_the_reader() -> None:
    recorder = Recorder()

    def refuse(stream_id: int, *_: object) -> None:
        raise malformed(stream_id, "no")

    recorder.block = refuse
    FrameReader(recorder, 16384, b"").feed(SETTINGS + headers(1) + frames.window_update(0, 1))
    assert [event[0] for event in recorder.events] == [
        "settings_frame", "stream_error", "window_update_frame",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "whole",
    [
        headers(5), headers(5, ends=False), data(5, b"x"), data(5, b"x", ends=True),
        frames.window_update(5, 1),
    ],
)  # fmt: skip
def test_the_reserved_bit_of_a_stream_means_nothing(whole: bytes) -> None:
    marked = whole[:5] + b"\x80\0\0\5" + whole[9:]
    (_, seen), (_, expected) = (read([frames.PREFACE + SETTINGS + one]) for one in (marked, whole))
    assert seen == expected
    assert seen[1] == 5


def test_the_reserved_bit_of_an_increment_means_nothing() -> None:
    marked = frame(frames.WINDOW_UPDATE, 0, 5, b"\x80\0\0\1")
    assert read([frames.PREFACE + SETTINGS + marked])[1] == ("window_update_frame", 5, 1)
