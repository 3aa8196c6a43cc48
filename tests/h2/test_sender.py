"""What is sent stays within the peer's windows and frame sizes, and on streams that are open."""

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from meshproxy.h2 import frames
from meshproxy.h2.sender import MAX_REPLIES
from meshproxy.http.headers import of
from tests.kit.h2 import GET, NOW, client, frame, get, headers, said, sendable, server, verdict

OK = ((b":status", b"200"),)


def test_a_body_is_cut_into_frames_the_peer_takes_and_not_copied() -> None:
    made, recorder = server()
    made.receive(frames.settings([(5, 20_000)]) + headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, OK, ends=False)
    made.take()
    body = memoryview(b"x" * 50_000)
    made.send_data(stream, body, ends=True)
    out = made.take()
    assert all(piece.obj is body.obj for piece in out if isinstance(piece, memoryview))
    sent = b"".join(out)
    made._out.append(sent)
    found = [each for each in said(made) if isinstance(each, DataFrame)]
    assert [len(each.data) for each in found] == [20_000, 20_000, 10_000]
    assert [list(each.flags) for each in found] == [[], [], ["END_STREAM"]]


def test_pieces_are_a_frame_each_and_the_last_ends_the_stream() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, OK, ends=False)
    made.take()
    pieces: list[bytes | memoryview] = [b"a" * 16384, memoryview(b"b" * 100)]
    made.send_frames(stream, pieces, 16484, ends=False)
    assert made._out[1::2] == pieces
    assert sendable(made, stream) == 65535 - 16484
    made.send_frames(stream, [b"c", b"d"], 2, ends=True)
    found = [each for each in said(made) if isinstance(each, DataFrame)]
    assert [each.data[:1] for each in found] == [b"a", b"b", b"c", b"d"]
    assert [list(each.flags) for each in found] == [[], [], [], ["END_STREAM"]]
    with pytest.raises(ValueError, match="stream 1 is closed"):
        made.send_frames(stream, [b"x"], 1, ends=False)


def test_an_empty_end_is_one_frame() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    made.send_fields(recorder.streams[1], OK, ends=False)
    made.take()
    made.send_data(recorder.streams[1], b"", ends=True)
    assert made.take() == [frames.head(0, frames.DATA, frames.END_STREAM, 1)]
    assert made.open_streams == 0


def test_a_whole_message_is_sent_in_one_step() -> None:
    made, recorder = server()
    made.receive(headers(1) + headers(3) + headers(5), NOW)
    plain, with_trailers, empty = (recorder.streams[number] for number in (1, 3, 5))
    assert made.send_whole(plain, OK, b"abc")
    assert made.send_whole(with_trailers, OK, b"abc", of((b"grpc-status", b"0")))
    assert made.send_whole(empty, OK, b"", of((b"grpc-status", b"0")))
    assert [(type(each), each.stream_id, sorted(each.flags)) for each in said(made)] == [
        (HeadersFrame, 1, ["END_HEADERS"]),
        (DataFrame, 1, ["END_STREAM"]),
        (HeadersFrame, 3, ["END_HEADERS"]),
        (DataFrame, 3, []),
        (HeadersFrame, 3, ["END_HEADERS", "END_STREAM"]),
        (HeadersFrame, 5, ["END_HEADERS"]),
        (HeadersFrame, 5, ["END_HEADERS", "END_STREAM"]),
    ]
    assert (plain.send_window, made.send_window) == (65532, 65529)
    assert made.open_streams == 0


def test_a_message_that_its_stream_the_connection_or_a_frame_has_no_room_for_is_not_sent() -> None:
    made, recorder = server()
    made.receive(frames.settings([(4, 60_000)]) + headers(1) + headers(3) + headers(5), NOW)
    first, second, third = (recorder.streams[number] for number in (1, 3, 5))
    made.take()
    assert not made.send_whole(first, OK, b"x" * 16_385)
    assert made.take() == []
    assert made.send_whole(first, OK, b"x" * 16_384)
    made.send_fields(second, OK, ends=False)
    made.send_data(second, b"x" * 49_000, ends=False)
    made.take()
    assert not made.send_whole(third, OK, b"x" * 152)
    made.receive(frames.settings([(4, 100)]), NOW)
    made.take()
    assert not made.send_whole(third, OK, b"x" * 101)
    assert made.take() == []
    assert made.send_whole(third, OK, b"x" * 100)


def test_a_long_head_of_a_whole_message_is_continued() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    fields = (*OK, (b"x", b"y" * 20_000))
    assert made.send_whole(recorder.streams[1], fields, b"abc")
    kinds = [HeadersFrame, ContinuationFrame, DataFrame]
    assert [type(each) for each in said(made)] == kinds


def test_nothing_is_sent_beyond_a_window() -> None:
    made, recorder = server()
    made.receive(frames.settings([(4, 100)]) + headers(1) + headers(3), NOW)
    first, second = recorder.streams[1], recorder.streams[3]
    made.send_fields(first, OK, ends=False)
    assert made.send_data(first, b"x" * 150, ends=True, most=30) == 30
    assert made.send_data(first, memoryview(b"x" * 101), ends=True) == 70
    assert made.send_data(first, b"x", ends=True) == 0
    assert first.can_send, "an end that was cut off is not said"
    assert (sendable(made, first), sendable(made, second)) == (0, 100)
    made.receive(frames.settings([(4, 1 << 20)]), NOW)
    assert sendable(made, first) == 65435
    made.send_data(first, b"x" * 65435, ends=False)
    assert sendable(made, second) == 0
    made.receive(frames.window_update(0, 7), NOW)
    assert sendable(made, second) == 7


def test_nothing_is_sent_on_a_stream_that_is_not_open_for_it() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, OK, ends=True)
    with pytest.raises(ValueError, match="stream 1 is closed"):
        made.send_data(stream, b"x", ends=False)
    with pytest.raises(ValueError, match="stream 1 is closed"):
        made.send_whole(stream, OK, b"x")
    asking, _ = client()
    asked = get(asking)
    with pytest.raises(ValueError, match="half-closed"):
        asking.send_fields(asked, OK, ends=True)


def test_a_reset_is_said_once() -> None:
    made, _ = client()
    stream = get(made)
    made.take()
    made.reset(stream, 8)
    made.reset(stream, 8)
    assert made.take() == [frames.rst_stream(1, 8)]


def test_answers_wait_for_a_peer_that_reads_up_to_a_limit() -> None:
    made, _ = server()
    pings = frame(frames.PING, 0, 0, b"8 bytes.")
    made.receive(pings * MAX_REPLIES, NOW)
    assert verdict(made, [pings]) == "goaway ENHANCE_YOUR_CALM"


def test_a_graceful_end_is_said_in_two_steps() -> None:
    made, _ = server()
    made.receive(headers(5, GET), NOW)
    made.go_away(last_stream_id=frames.MAX_STREAM_ID)
    made.go_away(debug=b"bye")
    assert [(each.last_stream_id, each.additional_data) for each in said(made)] == [
        (frames.MAX_STREAM_ID, b""), (5, b"bye"),
    ]  # fmt: skip
