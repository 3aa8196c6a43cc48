"""What a server must make of a client's frames: RFC 9113, one case for each MUST."""

import pytest
from hpack.hpack import encode_integer
from hyperframe.frame import GoAwayFrame

from meshproxy.h2 import frames, guard
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from tests.kit.h2 import (
    GET,
    NOW,
    POST,
    SETTINGS,
    TRAILERS,
    Recorder,
    data,
    frame,
    granted,
    headers,
    said,
    sendable,
    server,
    verdict,
)

D, H, P, R, S, PP, PING, G, W = range(9)
C = frames.CONTINUATION
REFUSED = frames.rst_stream(1, 7)
OVER = 2**31 - 1 - 65535 + 1
"""A WINDOW_UPDATE that takes a first window over its limit."""

CASES = {
    # 3.4 and 4: the framing layer
    "a request": ([headers(1)], "fine"),
    "a type that nobody knows": ([frame(0xAB, 0xFF, 0, b"x")], "fine"),
    "flags that mean nothing": ([frame(PING, 0xFE, 0, b"8 bytes.")], "fine"),
    "the reserved bit of a stream": ([frame(W, 0, 1 << 31, b"\0\0\0\1")], "fine"),
    "a frame over the maximum": ([frame(D, 0, 1, b"x" * 16385)], "goaway FRAME_SIZE_ERROR"),
    # 5.1: stream states
    "DATA on an idle stream": ([data(1)], "goaway PROTOCOL_ERROR"),
    "RST_STREAM on an idle stream": ([REFUSED], "goaway PROTOCOL_ERROR"),
    "WINDOW_UPDATE on an idle stream": ([frames.window_update(1, 1)], "goaway PROTOCOL_ERROR"),
    "PRIORITY on an idle stream": ([frame(P, 0, 1, b"\0\0\0\0\7")], "fine"),
    "DATA when half-closed": ([headers(1), data(1, b"x")], "reset 1 STREAM_CLOSED"),
    "HEADERS when half-closed": ([headers(1), headers(1)], "reset 1 STREAM_CLOSED"),
    "WINDOW_UPDATE when half-closed": ([headers(1), frames.window_update(1, 9)], "fine"),
    "DATA after the client's reset": (
        [headers(1, POST, ends=False), REFUSED, data(1, b"x")], "reset 1 STREAM_CLOSED"),
    "HEADERS after the client's reset": ([headers(1), REFUSED, headers(1)], "goaway STREAM_CLOSED"),
    "RST_STREAM after the client's reset": ([headers(1), REFUSED, REFUSED], "fine"),
    "WINDOW_UPDATE after the client's reset": (
        [headers(1), REFUSED, frames.window_update(1, 1)], "fine"),
    "frames that crossed our reset": (
        [headers(1, b"\x82", ends=False),
         data(1, b"x"), frames.window_update(1, 1), headers(1, TRAILERS), REFUSED],
        "reset 1 PROTOCOL_ERROR"),
    "an even stream": ([headers(2)], "goaway PROTOCOL_ERROR"),
    "a stream lower than the last": ([headers(5), headers(3)], "goaway STREAM_CLOSED"),
    "streams that were skipped": ([headers(1), headers(7)], "fine"),
    # 6.1: DATA
    "DATA on stream 0": ([data(0, b"x")], "goaway PROTOCOL_ERROR"),
    "padding longer than DATA": (
        [headers(1, POST, ends=False), frame(D, 8, 1, b"\5xxxx")], "goaway PROTOCOL_ERROR"),
    "padding that is all of DATA": (
        [headers(1, POST, ends=False), frame(D, 9, 1, b"\4xxxx")], "fine"),
    "padded DATA without a length": (
        [headers(1, POST, ends=False), frame(D, 8, 1)], "goaway FRAME_SIZE_ERROR"),
    # 6.2 and 6.10: HEADERS and CONTINUATION
    "HEADERS on stream 0": ([headers(0)], "goaway PROTOCOL_ERROR"),
    "padded HEADERS": ([frame(H, 0xD, 1, b"\3" + GET + b"\0\0\0")], "fine"),
    "padding longer than HEADERS": ([frame(H, 0xD, 1, b"\xff" + GET)], "goaway PROTOCOL_ERROR"),
    "HEADERS with priority": ([frame(H, 0x25, 1, b"\0\0\0\0\7" + GET)], "fine"),
    "HEADERS without room for it": ([frame(H, 0x25, 1, b"\0\0")], "goaway FRAME_SIZE_ERROR"),
    "HEADERS that depend on themselves": (
        [frame(H, 0x25, 1, b"\0\0\0\1\7" + GET)], "reset 1 PROTOCOL_ERROR"),
    "CONTINUATION": ([frame(H, 1, 1, GET[:2]), frame(C, 0, 1, GET[2:4]), frame(C, 4, 1, GET[4:])],
        "fine"),
    "CONTINUATION alone": ([headers(1), frame(C, 4, 1)], "goaway PROTOCOL_ERROR"),
    "CONTINUATION of another stream": (
        [frame(H, 1, 1, GET), frame(C, 4, 3)], "goaway PROTOCOL_ERROR"),
    "a frame within a block": ([frame(H, 1, 1, GET), SETTINGS], "goaway PROTOCOL_ERROR"),
    "an unknown frame within a block": (
        [frame(H, 1, 1, GET), frame(0xAB, 0, 1)], "goaway PROTOCOL_ERROR"),
    "too many CONTINUATION frames": (
        [frame(H, 1, 1, GET), *[frame(C, 0, 1)] * 9], "goaway ENHANCE_YOUR_CALM"),
    "a block of over 32 KiB": (
        [frame(H, 1, 1, b"x" * 16384), frame(C, 0, 1, b"x" * 16384), frame(C, 0, 1, b"x")],
        "goaway ENHANCE_YOUR_CALM"),
    # 6.3 to 6.9: the others
    "PRIORITY on stream 0": ([frame(P, 0, 0, b"\0\0\0\0\7")], "goaway PROTOCOL_ERROR"),
    "PRIORITY of four bytes": ([headers(1), frame(P, 0, 1, b"\0" * 4)], "reset 1 FRAME_SIZE_ERROR"),
    "PRIORITY that depends on itself": (
        [headers(1), frame(P, 0, 1, b"\0\0\0\1\7")], "reset 1 PROTOCOL_ERROR"),
    "RST_STREAM on stream 0": ([frames.rst_stream(0, 8)], "goaway PROTOCOL_ERROR"),
    "RST_STREAM of three bytes": ([headers(1), frame(R, 0, 1, b"abc")], "goaway FRAME_SIZE_ERROR"),
    "SETTINGS on a stream": ([frame(S, 0, 1)], "goaway PROTOCOL_ERROR"),
    "SETTINGS with ACK and more": ([frame(S, 1, 0, b"\0" * 6)], "goaway FRAME_SIZE_ERROR"),
    "SETTINGS of five bytes": ([frame(S, 0, 0, b"\0" * 5)], "goaway FRAME_SIZE_ERROR"),
    "ENABLE_PUSH of 2": ([frames.settings([(2, 2)])], "goaway PROTOCOL_ERROR"),
    "INITIAL_WINDOW_SIZE of 2**31": (
        [frames.settings([(4, 1 << 31)])], "goaway FLOW_CONTROL_ERROR"),
    "MAX_FRAME_SIZE of 16383": ([frames.settings([(5, 16383)])], "goaway PROTOCOL_ERROR"),
    "MAX_FRAME_SIZE of 2**24": ([frames.settings([(5, 1 << 24)])], "goaway PROTOCOL_ERROR"),
    "a setting that nobody knows": ([frames.settings([(0xAB, 1)])], "fine"),
    "PUSH_PROMISE": ([headers(1), frame(PP, 4, 1, b"\0\0\0\2" + GET)], "goaway PROTOCOL_ERROR"),
    "PING on a stream": ([frame(PING, 0, 1, b"8 bytes.")], "goaway PROTOCOL_ERROR"),
    "PING of six bytes": ([frame(PING, 0, 0, b"6bytes")], "goaway FRAME_SIZE_ERROR"),
    "GOAWAY on a stream": ([frame(G, 0, 1, b"\0" * 8)], "goaway PROTOCOL_ERROR"),
    "GOAWAY of seven bytes": ([frame(G, 0, 0, b"\0" * 7)], "goaway FRAME_SIZE_ERROR"),
    "GOAWAY, then a request": ([frames.goaway(0, 0), headers(1)], "fine"),
    "WINDOW_UPDATE by 0": ([frames.window_update(0, 0)], "goaway PROTOCOL_ERROR"),
    "WINDOW_UPDATE by 0 on a stream": (
        [headers(1), frames.window_update(1, 0)], "reset 1 PROTOCOL_ERROR"),
    "WINDOW_UPDATE of three bytes": ([frame(W, 0, 0, b"\0\0\1")], "goaway FRAME_SIZE_ERROR"),
    "a window over 2**31-1": ([frames.window_update(0, OVER)], "goaway FLOW_CONTROL_ERROR"),
    "a stream's window over 2**31-1": (
        [headers(1), frames.window_update(1, OVER)], "reset 1 FLOW_CONTROL_ERROR"),
    "settings that take a window over 2**31-1": (
        [headers(1), frames.window_update(1, OVER - 1), frames.settings([(4, 65536)])],
        "goaway FLOW_CONTROL_ERROR"),
    # 8: messages
    "a block that is cut": ([headers(1, b"\x82\x41")], "goaway COMPRESSION_ERROR"),
    "a malformed head": ([headers(1, b"\x82\x84")], "reset 1 PROTOCOL_ERROR"),
    "trailers": ([headers(1, POST, ends=False), headers(1, TRAILERS)], "fine"),
    "trailers that do not end": (
        [headers(1, POST, ends=False), headers(1, TRAILERS, ends=False)], "reset 1 PROTOCOL_ERROR"),
    "pseudo-fields in trailers": (
        [headers(1, POST, ends=False), headers(1, b"\x84")], "reset 1 PROTOCOL_ERROR"),
    "a body as long as it says": (
        [headers(1, POST + b"\x0f\x0d\x011", ends=False), data(1, b"x", ends=True)], "fine"),
    "a body longer than it says": (
        [headers(1, POST + b"\x0f\x0d\x011", ends=False), data(1, b"xx")],
        "reset 1 PROTOCOL_ERROR"),
    "a body shorter than it says": (
        [headers(1, POST + b"\x0f\x0d\x012", ends=False), data(1, b"x", ends=True)],
        "reset 1 PROTOCOL_ERROR"),
    "trailers before all of a body": (
        [headers(1, POST + b"\x0f\x0d\x012", ends=False), headers(1, TRAILERS)],
        "reset 1 PROTOCOL_ERROR"),
    "a length without a body": ([headers(1, POST + b"\x0f\x0d\x011")], "reset 1 PROTOCOL_ERROR"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_server_judges(name: str) -> None:
    received, expected = CASES[name]
    whole, _ = server()
    assert verdict(whole, [b"".join(received)]) == expected
    bytewise, _ = server()
    assert verdict(bytewise, [bytes([byte]) for byte in b"".join(received)]) == expected


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: web\r\n\r\n",
        frames.PREFACE + headers(1),
        frames.PREFACE + frames.SETTINGS_ACK,
        frames.PREFACE[:-1] + b"x" + SETTINGS,
    ],
)
def test_a_connection_that_begins_otherwise_is_closed(opening: bytes) -> None:
    fresh = H2Server(Recorder(), LocalSettings(), NOW)
    assert verdict(fresh, [opening]) == "goaway PROTOCOL_ERROR"


def test_a_server_says_its_settings_and_grants_its_window_at_once() -> None:
    local = LocalSettings(
        stream_window_bytes=1 << 18, connection_window_bytes=1 << 20,
        header_table_bytes=0, max_frame_bytes=1 << 15, max_concurrent_streams=7,
    )  # fmt: skip
    settings, update = said(H2Server(Recorder(), local, NOW))
    assert settings.settings == {1: 0, 3: 7, 4: 1 << 18, 5: 1 << 15, 6: 8192}
    assert (update.stream_id, update.window_increment) == (0, (1 << 20) - 65535)


def test_a_request_is_handed_on_with_its_body_and_trailers() -> None:
    made, recorder = server()
    received = [headers(1, POST, ends=False), data(1, b"x"), headers(1, TRAILERS)]
    assert verdict(made, received) == "fine"
    (_, _, head, ends), body, (_, _, trailers) = recorder.events
    assert (head.method, head.authority, ends) == (b"POST", b"web", False)
    assert body == ("data_received", 1, b"x", False)
    assert trailers.lines == [b"x: y"]


def large(stream_id: int, size: int = 4000) -> bytes:
    """Return a request with a head of *size* bytes and a few more."""
    value = b"\x00\x01x\x7f" + bytes(encode_integer(size, 7))[1:] + b"v" * size
    return headers(stream_id, GET + value)


def test_large_heads_in_progress_are_bounded_together() -> None:
    made, recorder = server(max_header_list_bytes=5000)
    most = guard.LARGE_HEADS * 5000
    count = 0
    while not recorder.named("stream_refused"):
        made.receive(large(2 * count + 1), NOW)
        count += 1
    assert b"".join(made.take()) == frames.rst_stream(2 * count - 1, ErrorCode.REFUSED_STREAM)
    (*_, held) = [size for (size,) in recorder.named("large_heads")]
    assert most - 5000 < held <= most
    made.receive(headers(2 * count + 1), NOW)
    assert [ends for *_, ends in recorder.named("request_received")] == [True] * count
    first = recorder.streams[1]
    made.reset(first, ErrorCode.CANCEL)
    assert recorder.named("large_heads")[-1] == (held,)
    made.release(first)
    assert recorder.named("large_heads")[-1] < (held - 4000,)
    made.receive(large(2 * count + 3), NOW)
    assert len(recorder.named("stream_refused")) == 1


def test_a_large_head_counts_until_its_stream_is_closed_and_released() -> None:
    made, recorder = server()
    made.receive(large(1), NOW)
    stream = recorder.streams[1]
    made.release(stream)
    assert recorder.named("large_heads")[-1] > (4000,)
    made.send_fields(stream, ((b":status", b"200"),), ends=True)
    assert recorder.named("large_heads")[-1] == (0,)


def test_more_streams_than_allowed_are_refused_and_the_table_stays_right() -> None:
    made, recorder = server(max_concurrent_streams=1)
    with_entry = GET + b"\x40\x01x\x01y"
    assert verdict(made, [headers(1), headers(3, with_entry)]) == "reset 3 REFUSED_STREAM"
    made.send_fields(recorder.streams[1], ((b":status", b"200"),), ends=True)
    made.release(recorder.streams[1])
    made.take()
    assert verdict(made, [headers(5, GET + b"\xbe")]) == "fine"
    assert recorder.named("request_received")[-1][1].lines[-1] == b"x: y"


@pytest.mark.parametrize("release_first", [True, False])
def test_a_stream_counts_until_it_is_closed_and_released(release_first: bool) -> None:
    made, recorder = server(max_concurrent_streams=1)
    made.receive(headers(1), NOW)
    if release_first:
        made.release(recorder.streams[1])
        assert verdict(made, [headers(3)]) == "reset 3 REFUSED_STREAM"
        made.receive(frames.rst_stream(1, 8), NOW)
    else:
        made.receive(frames.rst_stream(1, 8), NOW)
        assert verdict(made, [headers(3)]) == "reset 3 REFUSED_STREAM"
        made.release(recorder.streams[1])
    assert verdict(made, [headers(5)]) == "fine"


def test_after_goaway_newer_streams_are_ignored_and_older_ones_go_on() -> None:
    made, recorder = server()
    made.receive(headers(1, POST, ends=False), NOW)
    made.go_away(last_stream_id=frames.MAX_STREAM_ID)
    made.receive(headers(3), NOW)
    made.go_away()
    made.take()
    assert verdict(made, [headers(5, POST, ends=False), data(5, b"x"), data(1, b"y")]) == "fine"
    assert [event[:2] for event in recorder.events] == [
        ("request_received", 1), ("request_received", 3), ("data_received", 1),
    ]  # fmt: skip


def test_goaway_names_the_last_stream_and_the_reason() -> None:
    made, _ = server()
    made.receive(headers(7), NOW)
    with pytest.raises(H2ConnectionError, match="stream 0"):
        made.receive(data(0), NOW)
    last = said(made)[-1]
    assert isinstance(last, GoAwayFrame)
    assert (last.last_stream_id, last.error_code) == (7, ErrorCode.PROTOCOL_ERROR)
    assert b"DATA on stream 0" in last.additional_data


def test_a_head_over_the_limit_can_be_answered_and_a_bomb_ends_the_connection() -> None:
    large = GET + b"\x00\x01x\x7f\x81\x01" + b"y" * 256
    made, recorder = server(max_header_list_bytes=300)
    assert verdict(made, [headers(1, large)]) == "fine"
    assert recorder.events == [("request_received", 1, None, True)]
    made.send_fields(recorder.streams[1], ((b":status", b"431"),), ends=True)
    bomb = GET + b"\x40\x01x\x7f\x81\x01" + b"y" * 256 + b"\xbe" * 9
    assert verdict(made, [headers(3, bomb)]) == "goaway ENHANCE_YOUR_CALM"


def test_many_fields_are_too_many() -> None:
    made, recorder = server()
    assert verdict(made, [headers(1, GET + b"\x90" * 125)]) == "fine"
    assert verdict(made, [headers(3, GET + b"\x90" * 124)]) == "fine"
    heads = [head for _, head, _ in recorder.named("request_received")]
    assert [head is None for head in heads] == [True, False]


def test_large_trailers_end_their_stream() -> None:
    made, _ = server(max_header_list_bytes=300)
    large = b"\x00\x01x\x7f\x81\x02" + b"y" * 384
    received = [headers(1, POST, ends=False), headers(1, large)]
    assert verdict(made, received) == "reset 1 ENHANCE_YOUR_CALM"


def _requests_reset(count: int) -> bytes:
    return b"".join(headers(n) + frames.rst_stream(n, 8) for n in range(1, 2 * count, 2))


def test_rapid_reset_ends_the_connection() -> None:
    made, recorder = server()
    assert verdict(made, [_requests_reset(20_000)]) == "goaway ENHANCE_YOUR_CALM"
    assert len(recorder.named("request_received")) < 300


def test_resets_that_faults_of_the_client_cause_count_as_well() -> None:
    made, _ = server()
    faults = b"".join(
        headers(n, POST, ends=False) + frames.window_update(n, 0) for n in range(1, 2000, 2)
    )
    assert verdict(made, [faults]) == "goaway ENHANCE_YOUR_CALM"


def test_some_resets_each_second_are_an_honest_client() -> None:
    made, recorder = server()
    for second in range(20):
        first = 1 + second * 60
        pairs = [headers(n) + frames.rst_stream(n, 8) for n in range(first, first + 60, 2)]
        made.receive(b"".join(pairs), NOW + second)
        for n in range(first, first + 60, 2):
            made.release(recorder.streams[n])
    assert len(recorder.named("reset_received")) == 600


def test_one_cancelled_request_in_eight_is_an_honest_client_at_any_rate() -> None:
    made, recorder = server()
    for n in range(1, 8001, 2):
        made.receive(headers(n), NOW)
        if n % 16 == 1:
            made.receive(frames.rst_stream(n, 8), NOW)
        else:
            made.send_fields(recorder.streams[n], ((b":status", b"200"),), ends=True)
        made.release(recorder.streams[n])
    assert len(recorder.named("reset_received")) == 500


@pytest.mark.parametrize("at_once", [4096, 16384, 65535])
def test_a_client_that_opens_its_windows_for_every_4_kib_may_download_for_ever(
    at_once: int,
) -> None:
    """Go's client does so if its caller reads such pieces."""
    made, recorder = server()
    made.receive(headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, ((b":status", b"200"),), ends=False)
    grant = frames.window_update(0, 4096) + frames.window_update(1, 4096)
    for _ in range(100_000_000 // at_once):
        made.send_data(stream, bytes(at_once), ends=False)
        made.receive(grant * (at_once // 4096) + _rest(at_once % 4096), NOW)
        made.take()
    assert recorder.named("window_opened")


def _rest(count: int) -> bytes:
    updates = frames.window_update(0, count) + frames.window_update(1, count)
    return updates if count else b""


@pytest.mark.parametrize(
    "flood",
    [
        frame(PING, 0, 0, b"8 bytes."),
        SETTINGS,
        frame(P, 0, 1, b"\0\0\0\0\7"),
        frame(0xAB, 0, 0),
        frames.window_update(0, 1),
        data(1),
        frames.settings([(4, 1)]) + frames.settings([(4, 2)]),
        data(3),
        frames.SETTINGS_ACK,
        frame(PING, 1, 0, b"8 bytes."),
        frames.goaway(0, 0),
        frames.rst_stream(3, 8),
    ],
    ids=[
        "PING",
        "SETTINGS",
        "PRIORITY",
        "unknown",
        "WINDOW_UPDATE",
        "empty",
        "windows",
        "late",
        "ACK",
        "pong",
        "GOAWAY",
        "RST_STREAM",
    ],
)
def test_frames_that_cost_more_than_they_do_end_the_connection(flood: bytes) -> None:
    made, _ = server()
    made.receive(headers(1, POST, ends=False) + headers(3, b"\x82", ends=False), NOW)
    assert verdict(made, [flood * 50_000]) == "goaway ENHANCE_YOUR_CALM"


def test_answers_that_are_read_are_no_flood() -> None:
    made, _ = server()
    for _ in range(5):
        assert verdict(made, [frame(PING, 0, 0, b"8 bytes.") * 900]) == "fine"


def test_windows_that_dribble_end_the_connection() -> None:
    made, recorder = server()
    made.receive(frames.settings([(4, 0)]) + headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, ((b":status", b"200"),), ends=False)
    sent = 0
    while verdict(made, [frames.window_update(1, 1)]) == "fine":
        made.send_data(stream, b"x", ends=False)
        sent += 1
    assert guard.TRIFLES <= sent < guard.TRIFLES + 100


def test_a_client_that_grants_each_frame_again_is_served_for_ever() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    made.send_fields(recorder.streams[1], ((b":status", b"200"),), ends=False)
    for _ in range(30_000):
        made.send_data(recorder.streams[1], b"x" * 128, ends=False)
        made.receive(frames.window_update(1, 128) + frames.window_update(0, 128), NOW)
        made.take()
    assert sendable(made, recorder.streams[1]) == 65535


def test_a_connection_s_window_does_not_leak_with_streams_that_end_badly() -> None:
    made, recorder = server()
    total = 0
    for n in range(1, 401, 2):
        made.receive(headers(n, POST, ends=False) + data(n, b"x" * 1000), NOW)
        if n % 4 == 1:
            made.reset(recorder.streams[n], 8)
            made.receive(data(n, b"late" * 100), NOW)
        else:
            made.receive(frames.rst_stream(n, 8), NOW + n)
        made.consume(recorder.streams[n], 1000)  # too late, and it must not count twice
        made.release(recorder.streams[n])
        total += granted(made).get(0, 0)
    received = 200 * 1000 + 100 * 400
    assert 0 <= received - total < 65535
