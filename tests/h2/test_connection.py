"""Flow control and settings of both sides, and whole exchanges with PyPI's h2 as the peer."""

from itertools import pairwise
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import frames
from meshproxy.h2.client import H2Client
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from tests.kit.h2 import (
    GET,
    NOW,
    POST,
    SETTINGS,
    Recorder,
    client,
    data,
    headers,
    said,
    sendable,
    server,
    verdict,
)


def test_until_settings_are_acknowledged_the_peer_goes_by_the_defaults() -> None:
    made = H2Server(recorder := Recorder(), LocalSettings(stream_window_bytes=10), NOW)
    made.receive(frames.PREFACE + SETTINGS + headers(1, POST, ends=False), NOW)
    assert verdict(made, [data(1, b"x" * 16384)]) == "fine"
    assert not made.is_acknowledged
    assert verdict(made, [frames.SETTINGS_ACK * 2]) == "fine"
    assert made.is_acknowledged
    assert recorder.streams[1].receive_window == 10 - 16384
    assert verdict(made, [data(1)]) == "fine"
    assert verdict(made, [data(1, b"x")]) == "reset 1 FLOW_CONTROL_ERROR"


def test_a_smaller_initial_window_makes_windows_negative_and_a_larger_opens_them() -> None:
    made, recorder = server()
    made.receive(headers(1), NOW)
    stream = recorder.streams[1]
    made.send_fields(stream, ((b":status", b"200"),), ends=False)
    made.send_data(stream, b"x" * 100, ends=False)
    made.receive(frames.settings([(4, 50)]), NOW)
    assert (stream.send_window, sendable(made, stream)) == (-50, 0)
    recorder.events.clear()
    made.receive(frames.settings([(4, 150)]), NOW)
    assert sendable(made, stream) == 50
    assert ("window_opened", None) in recorder.events


def test_settings_are_acknowledged_and_larger_windows_handed_on() -> None:
    made, recorder = client()
    made.receive(frames.settings([(3, 5), (3, 7)]), NOW)
    assert [(type(each).__name__, each.flags) for each in said(made)] == [
        ("SettingsFrame", {"ACK"})
    ]
    made.receive(frames.settings([(4, 100)]), NOW)
    assert recorder.events == []
    made.receive(frames.settings([(4, 101)]), NOW)
    assert recorder.events == [("stream_windows_opened", None), ("window_opened", None)]


def test_a_ping_is_answered_and_an_answer_handed_on() -> None:
    made, recorder = client()
    made.receive(frames.ping(b"question", is_answer=False), NOW)
    assert made.take() == [frames.ping(b"question", is_answer=True)]
    made.receive(frames.ping(b"answered", is_answer=True), NOW)
    assert recorder.events == [("pong_received", b"answered")]


def test_a_shrunk_table_must_be_confirmed_by_the_next_block() -> None:
    made, _ = server(header_table_bytes=0)
    assert verdict(made, [headers(1)]) == "goaway COMPRESSION_ERROR"
    made, _ = server(header_table_bytes=0)
    assert verdict(made, [headers(1, b"\x20" + GET), headers(3)]) == "fine"


def test_a_head_in_parts_is_seen_by_the_clock() -> None:
    made, _ = server()
    assert not made.reader.is_within_head
    made.receive(frames.head(2, frames.HEADERS, 1, 1) + GET[:2], NOW)
    assert made.reader.is_within_head
    made.receive(frames.head(6, frames.CONTINUATION, 4, 1) + GET[2:], NOW)
    assert not made.reader.is_within_head


def test_late_frames_are_forgiven_for_the_last_thousand_resets() -> None:
    made, recorder = server()
    for n in range(1, 2101, 2):
        made.receive(headers(n, POST, ends=False), NOW)
        made.reset(recorder.streams[n], 8)
        made.release(recorder.streams[n])
    made.take()
    assert verdict(made, [data(2099, b"x")]) == "fine"
    assert verdict(made, [data(1, b"x")]) == "reset 1 STREAM_CLOSED"


def test_data_on_its_way_to_a_stream_reset_here_is_no_fault_within_its_window() -> None:
    made, recorder = server(stream_window_bytes=65535)
    for n in range(1, 41, 2):
        made.receive(headers(n, POST, ends=False), NOW)
        made.reset(recorder.streams[n], 8)
    made.take()
    late = [b"".join(data(n, b"xy") * 1000 for n in range(1, 41, 2))]
    assert verdict(made, late) == "fine"
    made.take()
    found = ["fine"]
    while found[-1] == "fine":
        found.append(verdict(made, [data(1, b"x" * 16) * 1000]))
    assert (len(found), found[-1]) == (2 + 6, "goaway ENHANCE_YOUR_CALM")


Message = tuple[dict[str, str], list[int], dict[str, str]]
"""Fields, the lengths of the pieces of a body, trailers."""
FIELDS = st.dictionaries(
    st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    max_size=4,
)
MESSAGES = st.tuples(FIELDS, st.lists(st.integers(0, 20_000), max_size=3), FIELDS)


def _pairs(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields.items()]


def _cut(data: bytes, step: int) -> list[bytes]:
    return [data[a:b] for a, b in pairwise([*range(0, len(data), step), len(data)])]


def _send_ours(ours: H2Connection, stream: Any, message: Message) -> None:
    _, pieces, trailers = message
    for length in pieces:
        ours.send_data(stream, b"x" * length, ends=False)
    if trailers:
        ours.send_fields(stream, tuple(_pairs(trailers)), ends=True)
    else:
        ours.send_data(stream, b"", ends=True)


def _send_theirs(theirs: h2.connection.H2Connection, stream_id: int, message: Message) -> None:
    _, pieces, trailers = message
    for length in pieces:
        for at in range(0, length, 16384):
            theirs.send_data(stream_id, b"x" * min(16384, length - at))
    if trailers:
        theirs.send_headers(stream_id, _pairs(trailers), end_stream=True)
    else:
        theirs.end_stream(stream_id)


def _heard_by_us(recorder: Recorder, head: str, stream_id: int) -> Message:
    events = [event for event in recorder.events if event[1:2] == (stream_id,)]
    (got,) = [event[2] for event in events if event[0] == head]
    size = sum(len(event[2]) for event in events if event[0] == "data_received")
    trailers = [event[2] for event in events if event[0] == "trailers_received"]
    return _plain(got.headers()), [size], _plain(trailers[0]) if trailers else {}


def _plain(fields: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items() if name[:2] == b"x-"}


def _heard_by_them(events: list[Any], head: type, stream_id: int) -> Message:
    mine = [event for event in events if getattr(event, "stream_id", None) == stream_id]
    found: dict[str, dict[bytes, bytes]] = {"head": {}, "trailers": {}}
    size = 0
    for event in mine:
        if isinstance(event, head):
            found["head"] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            size += len(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            found["trailers"] = dict(event.headers)
    assert isinstance(mine[-1], h2.events.StreamEnded)
    return _plain(found["head"]), [size], _plain(found["trailers"])


def _expected(message: Message) -> Message:
    fields, pieces, trailers = message
    return fields, [sum(pieces)], trailers


class _Joined:
    """An engine of ours and one of PyPI's h2, which pass each other what they have to say."""

    def __init__(self, ours: H2Connection, *, is_client: bool, step: int) -> None:
        self.ours = ours
        self.step = step
        config = h2.config.H2Configuration(client_side=not is_client, header_encoding=None)
        self.theirs = h2.connection.H2Connection(config)
        self.theirs.initiate_connection()
        self.events: list[Any] = []
        self.pump()

    def pump(self) -> None:
        while (sent := b"".join(self.ours.take())) + (got := self.theirs.data_to_send()):
            for piece in _cut(got, self.step):
                self.ours.receive(piece, NOW)
            for piece in _cut(sent, self.step):
                self.events += self.theirs.receive_data(piece)
            for event in self.events:
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.theirs.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                    event.flow_controlled_length = 0


LARGE = LocalSettings(stream_window_bytes=1 << 18, connection_window_bytes=1 << 20)


@given(st.lists(st.tuples(MESSAGES, MESSAGES), min_size=1, max_size=4), st.sampled_from([7, 9999]))
def test_a_server_of_ours_and_a_client_of_h2_hear_what_the_other_said(
    exchanges: list[tuple[Message, Message]], step: int
) -> None:
    ours = H2Server(recorder := Recorder(), LARGE, NOW)
    joined = _Joined(ours, is_client=False, step=step)
    joined.theirs.increment_flow_control_window(1 << 20)
    joined.theirs.update_settings({4: 1 << 18})
    joined.pump()
    for number, (request, response) in enumerate(exchanges):
        n = 2 * number + 1
        pseudo = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"))
        joined.theirs.send_headers(n, [*pseudo, (b":authority", b"web"), *_pairs(request[0])])
        _send_theirs(joined.theirs, n, request)
        joined.pump()
        assert _heard_by_us(recorder, "request_received", n) == _expected(request)
        stream = recorder.streams[n]
        ours.send_fields(stream, ((b":status", b"200"), *_pairs(response[0])), ends=False)
        _send_ours(ours, stream, response)
        joined.pump()
        ours.consume(stream, 1 << 20)
        ours.release(stream)
        heard = _heard_by_them(joined.events, h2.events.ResponseReceived, n)
        assert heard == _expected(response)
    assert ours.open_streams == 0


@given(st.lists(st.tuples(MESSAGES, MESSAGES), min_size=1, max_size=4), st.sampled_from([7, 9999]))
def test_a_client_of_ours_and_a_server_of_h2_hear_what_the_other_said(
    exchanges: list[tuple[Message, Message]], step: int
) -> None:
    ours = H2Client(recorder := Recorder(), LARGE, NOW)
    joined = _Joined(ours, is_client=True, step=step)
    joined.theirs.increment_flow_control_window(1 << 20)
    joined.theirs.update_settings({4: 1 << 18})
    joined.pump()
    for request, response in exchanges:
        pseudo = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"))
        stream = recorder.stream(ours._next)
        fields = (*pseudo, (b":authority", b"web"), *_pairs(request[0]))
        ours.open(stream)
        ours.send_fields(stream, fields, ends=False)
        _send_ours(ours, stream, request)
        joined.pump()
        n = stream.id
        heard = _heard_by_them(joined.events, h2.events.RequestReceived, n)
        assert heard == _expected(request)
        joined.theirs.send_headers(n, [(b":status", b"200"), *_pairs(response[0])])
        _send_theirs(joined.theirs, n, response)
        joined.pump()
        ours.consume(stream, 1 << 20)
        assert _heard_by_us(recorder, "response_received", n) == _expected(response)
    assert ours.open_streams == 0


@pytest.mark.parametrize("make", [server, client])
def test_a_connection_at_rest_says_nothing(make: Any) -> None:
    made, recorder = make()
    assert (made.has_output(), recorder.events) == (False, [])
    made.ping(b"question")
    assert made.has_output()
