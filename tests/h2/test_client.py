"""What a client must make of a server's frames: RFC 9113, one case for each MUST."""

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.client import H2Client
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.settings import LocalSettings
from tests.kit.h2 import (
    NOW,
    OK,
    TRAILERS,
    Recorder,
    client,
    data,
    frame,
    get,
    granted,
    headers,
    said,
    server,
    verdict,
)

INTERIM = b"\x08\x03103"
OF_TWO = OK + b"\x0f\x0d\x012"

CASES = {
    "a response": ([headers(1, OK)], "fine"),
    "a response with body and trailers": (
        [headers(1, OK, ends=False), data(1, b"x"), headers(1, TRAILERS)], "fine"),
    "interim responses": (
        [*[headers(1, INTERIM, ends=False)] * 3, headers(1, OK)], "fine"),
    "an interim response that ends": ([headers(1, INTERIM)], "reset 1 PROTOCOL_ERROR"),
    "status 101": ([headers(1, b"\x08\x03101", ends=False)], "reset 1 PROTOCOL_ERROR"),
    "a response without status": ([headers(1, TRAILERS)], "reset 1 PROTOCOL_ERROR"),
    "DATA before the head": ([data(1, b"x")], "reset 1 PROTOCOL_ERROR"),
    "trailers that do not end": (
        [headers(1, OK, ends=False), headers(1, TRAILERS, ends=False)], "reset 1 PROTOCOL_ERROR"),
    "a body as long as it says": (
        [headers(1, OF_TWO, ends=False), data(1, b"xx", ends=True)], "fine"),
    "a body shorter than it says": (
        [headers(1, OF_TWO, ends=False), data(1, b"x", ends=True)], "reset 1 PROTOCOL_ERROR"),
    "a body longer than it says": (
        [headers(1, OF_TWO, ends=False), data(1, b"xxx")], "reset 1 PROTOCOL_ERROR"),
    "no body where one was promised": ([headers(1, OF_TWO)], "reset 1 PROTOCOL_ERROR"),
    "a body of a 204": (
        [headers(1, b"\x89", ends=False), data(1, b"x")], "reset 1 PROTOCOL_ERROR"),
    "a length of a 304": ([headers(1, b"\x8b\x0f\x0d\x012")], "fine"),
    "DATA after the end": ([headers(1, OK), data(1, b"x")], "reset 1 STREAM_CLOSED"),
    "a stream that nobody opened": ([headers(3, OK)], "goaway PROTOCOL_ERROR"),
    "a stream of the server's": ([headers(2, OK)], "goaway PROTOCOL_ERROR"),
    "PUSH_PROMISE": (
        [frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2" + OK)], "goaway PROTOCOL_ERROR"),
    "SETTINGS that allow push": ([frames.settings([(4, 9), (2, 1)])], "goaway PROTOCOL_ERROR"),
    "SETTINGS that forbid push": ([frames.settings([(2, 0)])], "fine"),
    "DATA on an idle stream": ([data(3)], "goaway PROTOCOL_ERROR"),
    "a head over the limit": (
        [headers(1, OK + b"\x00\x01x\x7f\x81\x3f" + b"y" * 8192)], "reset 1 ENHANCE_YOUR_CALM"),
    "interim responses without end": (
        [headers(1, INTERIM, ends=False) * 20_000], "goaway ENHANCE_YOUR_CALM"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_client_judges(name: str) -> None:
    received, expected = CASES[name]
    made, _ = client()
    get(made)
    made.take()
    assert verdict(made, received) == expected


def test_a_client_says_that_it_wants_no_pushes() -> None:
    first = H2Client(Recorder(), LocalSettings(), NOW).take()
    assert first[0] == frames.PREFACE
    assert frames.settings([(2, 0), (6, 8192)]) in first


def test_a_response_to_head_may_say_how_long_it_would_be() -> None:
    made, recorder = client()
    get(made, is_bodiless=True)
    made.take()
    assert verdict(made, [headers(1, OF_TWO)]) == "fine"
    assert recorder.events[0][0] == "response_received"


def test_streams_are_opened_up_to_the_server_s_limit() -> None:
    made, _ = client()
    made.receive(frames.settings([(3, 2)]), NOW)
    get(made)
    assert made.room > 0
    get(made)
    assert made.room <= 0
    assert not made.is_exhausted
    with pytest.raises(ValueError, match="no more streams"):
        get(made)
    made.receive(headers(1, OK), NOW)
    assert made.room > 0


def test_goaway_hands_back_what_the_server_has_not_looked_at() -> None:
    made, recorder = client()
    first, second, third = get(made), get(made), get(made)
    made.receive(frames.goaway(first.id, 0, b"bye"), NOW)
    assert recorder.events == [
        ("reset_received", second.id, ErrorCode.REFUSED_STREAM),
        ("reset_received", third.id, ErrorCode.REFUSED_STREAM),
        ("goaway_received", first.id, 0, b"bye"),
    ]
    assert made.is_exhausted
    assert made.room <= 0
    assert verdict(made, [headers(first.id, OK)]) == "fine"
    assert made.open_streams == 0


def test_stream_ids_run_out() -> None:
    made, _ = client()
    made._next = frames.MAX_STREAM_ID
    assert get(made).id == frames.MAX_STREAM_ID
    assert made.room <= 0
    assert made.is_exhausted


def test_a_reset_of_the_server_s_is_handed_on() -> None:
    made, recorder = client()
    stream = get(made, ends=False)
    made.receive(frames.rst_stream(1, 0xDEAD), NOW)
    assert recorder.events == [("reset_received", 1, 0xDEAD)]
    assert not stream.can_send
    made.take()
    made.reset(stream, 8)
    assert said(made) == []


def many_resets(made: H2Client, count: int) -> list[int]:
    """Open *count* streams and reset them all; return the ids of those the server hears of."""
    streams = [get(made, ends=False) for _ in range(count)]
    made.take()
    for stream in streams:
        made.reset(stream, ErrorCode.CANCEL)
    return [one.stream_id for one in said(made)]


def test_resets_are_paced_so_that_many_do_not_look_like_an_attack() -> None:
    made, _ = client()
    made.receive(frames.settings([(3, 1000)]), NOW)
    sent = many_resets(made, 400)
    assert len(sent) == 100
    assert (made.open_streams, made.room, bool(made.late_resets)) == (0, 700, True)
    made.send_late_resets(NOW)
    assert said(made) == []
    made.send_late_resets(NOW + 2)
    assert [one.stream_id for one in said(made)] == [sent[-1] + 2 * n for n in range(1, 34)]
    made.send_late_resets(NOW + 3600)
    made.send_late_resets(NOW + 7200)
    made.send_late_resets(NOW + 10800)
    assert (made.room, bool(made.late_resets)) == (1000, False)


def test_what_comes_for_a_stream_whose_reset_waits_is_dropped() -> None:
    made, recorder = client()
    made.receive(frames.settings([(3, 3000)]), NOW)
    last = 2 * 2500 - 1
    assert last not in many_resets(made, 2500)
    recorder.events.clear()
    late = [headers(last, OK, ends=False), *[data(last, b"x")] * 12_000, headers(last, TRAILERS)]
    assert verdict(made, late) == "fine"
    assert recorder.events == []
    made.take()
    made.receive(data(last, b"x" * 16_000) * 3, NOW)
    assert granted(made).keys() == {0}


def test_a_server_of_ours_stays_calm_while_clients_reset() -> None:
    made, _ = client()
    serving, _ = server()
    made.receive(frames.settings([(3, 1000)]), NOW)
    for second in range(20):
        for stream in [get(made, ends=False) for _ in range(100) if made.room > 0]:
            made.reset(stream, ErrorCode.CANCEL)
        made.send_late_resets(NOW + second)
        out = b"".join(made.take())
        serving.receive(out.removeprefix(frames.PREFACE), NOW + second)
    assert bool(made.late_resets)
