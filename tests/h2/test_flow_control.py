"""Peers may send what their windows allow, and again what has been used, in few frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import frames
from tests.kit.h2 import NOW, POST, data, granted, headers, server, verdict


def test_data_within_the_window_is_taken_and_more_resets_the_stream() -> None:
    made, _ = server(stream_window_bytes=10)
    within = [headers(1, POST, ends=False), data(1, b"x" * 10)]
    assert verdict(made, within) == "fine"
    assert verdict(made, [data(1, b"x")]) == "reset 1 FLOW_CONTROL_ERROR"


def test_data_beyond_the_connection_s_window_ends_it() -> None:
    most = headers(1, POST, ends=False) + data(1, b"x" * 16384) * 3 + data(1, b"x" * 16383)
    for more, judged in ((b"", "fine"), (data(1, b"x"), "goaway FLOW_CONTROL_ERROR")):
        made, _ = server(stream_window_bytes=1 << 20)
        assert verdict(made, [most + more]) == judged


def test_a_stream_that_nobody_reads_leaves_the_connection_s_window_to_others() -> None:
    made, _ = server()
    made.receive(headers(1, POST, ends=False) + data(1, b"x" * 16384) * 3, NOW)
    assert granted(made) == {0: 49152}


def test_consumed_bytes_are_granted_again_below_the_ratio_and_padding_at_once() -> None:
    made, recorder = server(window_update_ratio=0.5)
    made.receive(headers(1, POST, ends=False) + data(1, b"x" * 16384) * 3, NOW)
    stream = recorder.streams[1]
    made.consume(stream, 32767)
    assert granted(made) == {0: 49152, 1: 32767}
    made.consume(stream, 16384)
    assert granted(made) == {}
    padded = frames.head(16384, frames.DATA, frames.PADDED, 1) + b"\xff" + bytes(16383)
    made.receive(padded * 2, NOW)
    assert stream.unconsumed == 2 * 16128 + 1


def test_a_grant_that_is_due_goes_with_what_is_sent_next() -> None:
    made, recorder = server(window_update_ratio=0.99)
    made.receive(headers(1, POST, ends=False) + data(1, bytes(4000)) * 2, NOW)
    for _ in range(2):
        made.consume(recorder.streams[1], 4000)
    assert not made.has_output()
    assert made.take() == []
    made.ping(b"anything")
    assert granted(made) == {0: 8000, 1: 8000}
    made.ping(b"anything")
    assert granted(made) == {}


def test_half_of_a_window_is_granted_at_once() -> None:
    made, recorder = server(window_update_ratio=0.99)
    made.receive(headers(1, POST, ends=False) + data(1, bytes(16384)) * 3, NOW)
    assert granted(made) == {0: 49152}
    made.consume(recorder.streams[1], 32766)
    assert not made.has_output()
    made.consume(recorder.streams[1], 1)
    assert made.has_output()
    assert granted(made) == {1: 32767}
    assert not made.has_output()


def test_a_stream_whose_end_has_come_is_granted_nothing() -> None:
    made, recorder = server(window_update_ratio=0.99)
    made.receive(headers(1, POST, ends=False) + data(1, b"x" * 9000, ends=True), NOW)
    made.consume(recorder.streams[1], 9000)
    made.ping(b"anything")
    assert granted(made) == {0: 9000}


@given(st.floats(0.01, 0.99), st.lists(st.integers(0, 3000), max_size=60))
def test_what_is_granted_is_what_was_consumed_but_for_a_rest(
    ratio: float, counts: list[int]
) -> None:
    made, recorder = server(stream_window_bytes=10_000, window_update_ratio=ratio)
    made.receive(headers(1, POST, ends=False), NOW)
    stream = recorder.streams[1]
    sums = {0: 0, 1: 0}
    for count in counts:
        made.receive(data(1, bytes(min(count, stream.receive_window))), NOW)
        made.consume(stream, count)
        for stream_id, increment in granted(made).items():
            sums[stream_id] += increment
    taken = recorder.named("data_received")
    received = sum(len(piece) for _, piece, _ in taken)
    consumed = received - stream.unconsumed
    for stream_id, used, window in ((0, received, 65535), (1, consumed, 10_000)):
        assert 0 <= used - sums[stream_id] < max(1, window * (1 - ratio))
    assert stream.receive_window == 10_000 - received + sums[1]


@pytest.mark.parametrize(("ratio", "least"), [(0.99, 655), (0.75, 16383), (0.25, 49151)])
def test_a_grant_is_due_below_the_ratio(ratio: float, least: int) -> None:
    made, recorder = server(window_update_ratio=ratio)
    made.receive(headers(1, POST, ends=False) + data(1, bytes(16384)) * 3, NOW)
    made.consume(recorder.streams[1], least - 1)
    made.ping(b"anything")
    assert granted(made) == {0: 49152}
    made.consume(recorder.streams[1], 1)
    made.ping(b"anything")
    assert granted(made) == {1: least}


@given(
    st.floats(0.01, 0.99),
    st.integers(1, 1 << 18),
    st.lists(st.tuples(st.integers(0, 16384), st.integers(0, 70_000), st.booleans())),
)
def test_what_is_granted_is_what_was_consumed(
    ratio: float, size: int, steps: list[tuple[int, int, bool]]
) -> None:
    made, recorder = server(window_update_ratio=ratio, stream_window_bytes=size)
    made.receive(headers(1, POST, ends=False), NOW)
    stream = recorder.streams[1]
    left = {0: 65535, 1: size}
    for wanted, used, speaks in steps:
        sent = min(wanted, *left.values())
        made.receive(data(1, bytes(sent)), NOW)
        left = {window: room - sent for window, room in left.items()}
        made.consume(stream, used)
        if speaks:
            made.ping(b"anything")
        for window, more in granted(made).items():
            left[window] += more
        assert left[1] + stream.unconsumed <= size
        assert left[0] <= 65535
    made.consume(stream, 1 << 20)
    for window, more in granted(made).items():
        left[window] += more
    assert min(left.values()) > 0, "the peer is never left without room"
