"""A run of frames does what its frames do one by one, and costs next to nothing."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import frames, guard, runs
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.reader import FrameReader
from meshproxy.h2.sender import MAX_REPLIES
from meshproxy.h2.server import H2Server
from meshproxy.net.stream import RECEIVE
from tests.kit import hostile
from tests.kit.effort import lines_run
from tests.kit.h2 import NOW, SETTINGS, Recorder, data, frame, headers, server

OPENED = b"".join(headers(stream, ends=False) for stream in (1, 3, 5))


def priority(stream_id: int, on: int = 0) -> bytes:
    return frame(frames.PRIORITY, 0, stream_id, on.to_bytes(4, "big") + b"\x10")


EACH = [
    priority(1), priority(7), priority(3, on=1), priority(1 << 24), priority(5, on=5),
    priority(5, on=(1 << 31) + 5),
    data(1), data(3), data(5, ends=True), data(1, b"x"), frame(frames.DATA, 8, 1, b"\0"),
    frames.window_update(0, 1), frames.window_update(1, 1), frames.window_update(1, 70_000),
    frames.window_update(3, 0), frames.window_update(5, 1 << 30), frames.window_update(3, 1 << 31),
    frames.ping(b"8 bytes.", is_answer=False), frame(77, 0, 1),
]  # fmt: skip
"""Useless frames, some of them at fault."""


def state(made: H2Server) -> tuple[Any, ...]:
    """Return what a peer can see or feel of what it has sent."""
    streams = {each.id: (each.state, each.send_window) for each in made.streams.values()}
    return made.send_window, streams, b"".join(made.take())


@given(st.lists(st.tuples(st.sampled_from(EACH), st.integers(1, 40)), max_size=6))
def test_a_run_does_what_its_frames_do_one_by_one(parts: list[tuple[bytes, int]]) -> None:
    whole, pieces = server()[0], server()[0]
    sent = [part for part, count in parts for _ in range(count)]
    for made, received in ((whole, [b"".join(sent)]), (pieces, sent)):
        made.receive(OPENED, NOW)
        for each in received:
            try:
                made.receive(each, NOW)
            except H2ConnectionError:
                break
    assert state(whole) == state(pieces)


@given(st.lists(st.sampled_from((0, 1, 3, 5)), min_size=24, max_size=60))
def test_windows_of_several_streams_open_as_far_as_one_by_one(order: list[int]) -> None:
    made, recorder = server()
    made.receive(OPENED, NOW)
    before = {each.id: each.send_window for each in made.streams.values()} | {0: made.send_window}
    made.receive(b"".join(frames.window_update(each, 10) for each in order), NOW)
    after = {each.id: each.send_window for each in made.streams.values()} | {0: made.send_window}
    assert after == {each: before[each] + 10 * order.count(each) for each in before}
    assert len(recorder.named("window_opened")) == len(set(order))


def read(sent: bytes) -> list[tuple[Any, ...]]:
    FrameReader(recorder := Recorder(), 16384, b"").feed(SETTINGS + sent)
    return recorder.events[1:]


def test_what_is_counted_is_each_frame() -> None:
    assert read(priority(1) * 1000) == [("meaningless_frame", 1000)]
    assert read(data(1) * 1000) == [
        ("meaningless_frame", 999 * guard.EMPTY_DATA),
        ("data_frame", 1, b"", 0, False),
    ]
    pings = frames.ping(b"8 bytes.", is_answer=False) * 1000
    assert read(pings) == [("ping_frames", pings, 1000)]
    assert read(frames.window_update(1, 2) * 1000) == [
        ("meaningless_frame", 1000),
        ("window_update_frame", 1, 2000, 0),
    ]


@pytest.mark.parametrize("attack", [hostile.priorities, hostile.empty_data, hostile.window_updates])
def test_a_flood_ends_with_the_bucket_after_little_work(attack: Any) -> None:
    flood = attack()
    made, _ = server()

    def receive() -> None:
        with pytest.raises(H2ConnectionError) as caught:
            made.receive(flood, NOW)
        assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM

    assert lines_run(receive) < 600


@pytest.mark.parametrize("made", hostile.CHEAP.values(), ids=hostile.CHEAP)
def test_a_flood_over_many_streams_ends_within_its_first_read(made: Callable[[int], bytes]) -> None:
    """So that the requests that came with it are never begun."""
    connection, _ = server()
    with pytest.raises(H2ConnectionError) as caught:
        connection.receive(hostile.spread(made)[:RECEIVE], NOW)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_windows_may_be_opened_in_small_steps_after_long_bodies_have_come_whole() -> None:
    """As Go's client does, by 4 KiB, for the stream and the connection."""
    streams, size, step = range(1, 100, 2), 1 << 20, 4096
    made, _ = server()
    windows = [frames.settings(((4, size),)), frames.window_update(0, 1 << 30)]
    made.receive(b"".join((*windows, *(headers(stream, ends=False) for stream in streams))), NOW)
    for stream in [*made.streams.values()]:
        assert made.send_data(stream, bytes(size), ends=False) == size
    opened = b"".join(
        frames.window_update(stream, step) + frames.window_update(0, step) for stream in streams
    )
    for _ in range(size // step):
        made.receive(opened, NOW)
    assert {stream.send_window for stream in made.streams.values()} == {size}


def test_pings_are_answered_each_with_its_own_payload() -> None:
    made, _ = server()
    payloads = [number.to_bytes(4, "big") + b"\0\0\x08\x06" for number in range(1000)]
    made.receive(b"".join(frames.ping(each, is_answer=False) for each in payloads), NOW)
    answers = b"".join(frames.ping(each, is_answer=True) for each in payloads)
    assert b"".join(made.take()) == answers


def test_a_run_of_pings_counts_against_the_answers_that_may_wait() -> None:
    made, _ = server()
    made.receive(frames.ping(b"8 bytes.", is_answer=False) * MAX_REPLIES, NOW)
    with pytest.raises(H2ConnectionError) as caught:
        made.receive(frames.ping(b"8 bytes.", is_answer=False) * 100, NOW)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_short_runs_and_what_is_no_run_is_left_to_the_reader() -> None:
    short = chain((priority(1) * 15, data(0) * 40, data(1, ends=True) * 40, priority(0) * 40))
    kinds = (frames.PRIORITY, frames.DATA, frames.DATA, frames.PRIORITY)
    for sent, kind in zip(short, kinds, strict=True):
        assert runs.read(Recorder(), kind, sent, 0) == 0


def test_a_fault_of_one_stream_in_a_run_ends_that_stream_alone() -> None:
    made, recorder = server()
    made.receive(OPENED, NOW)
    updates = frames.window_update(1, 1 << 27) + frames.window_update(3, 5)
    made.receive(updates * 16, NOW)
    assert [event[:2] for event in recorder.named("failed")] == [(1, ErrorCode.FLOW_CONTROL_ERROR)]
    assert made.streams[3].send_window == 65535 + 16 * 5
