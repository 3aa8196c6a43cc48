"""How a session to an endpoint lives and ends."""

from time import monotonic

import gevent
import pytest
from h2.errors import ErrorCodes
from h2.events import PingReceived, RequestReceived

from meshproxy.client.transport import Session
from meshproxy.errors import ConnectionClosed
from meshproxy.h2 import frames
from meshproxy.h2.settings import KeepAlive, LocalSettings
from tests.kit.h2_endpoint import Peer, answer
from tests.kit.k8s import wait_until
from tests.kit.messages import body_of
from tests.kit.wire import WAIT_S

from .conftest import to_endpoint


def test_one_session_carries_many_requests_at_once() -> None:
    waiting: list[int] = []

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            waiting.append(event.stream_id)
            if len(waiting) == 50:
                for stream_id in reversed(waiting):
                    peer.reply(stream_id, b"%d" % stream_id)

    with to_endpoint(script) as (sessions, endpoint):
        sending = [gevent.spawn(sessions.send) for _ in range(50)]
        bodies = [body_of(each.get(timeout=WAIT_S)) for each in sending]
        assert bodies == [b"%d" % (2 * n + 1) for n in range(50)]
        assert len(endpoint.peers) == 1
        assert (sessions.count("connects"), sessions.open, sessions.idle) == (1, 1, 1)


def test_its_settings_are_those_of_the_transport() -> None:
    local = LocalSettings(stream_window_bytes=200_000, max_frame_bytes=20_000)
    with to_endpoint(h2=local) as (sessions, endpoint):
        sessions.send()
        (peer,) = endpoint.peers
        assert peer.h2.remote_settings.initial_window_size == 200_000
        assert peer.h2.remote_settings.max_frame_size == 20_000
        assert peer.h2.remote_settings.enable_push == 0


def test_an_idle_session_is_closed_after_its_idle_time() -> None:
    with to_endpoint(session=Session(idle_seconds=0.05)) as (sessions, _):
        sessions.send()
        assert sessions.idle == 1
        wait_until(lambda: sessions.open == 0)
        assert (sessions.idle, sessions.count("idle")) == (0, 1)
        assert sessions.send().status == 200


def test_a_session_with_streams_outlives_its_idle_time_and_takes_no_more_after_its_life() -> None:
    answered = gevent.event.Event()

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):

            def later() -> None:
                answered.wait()
                peer.reply(event.stream_id)

            gevent.spawn(later)

    life = Session(idle_seconds=0.05, life_seconds=0.1)
    with to_endpoint(script, session=life) as (sessions, endpoint):
        first = gevent.spawn(sessions.send)
        wait_until(lambda: sessions.count("lifetime") == 1)
        second = gevent.spawn(sessions.send)
        wait_until(lambda: len(endpoint.peers) == 2)
        answered.set()
        assert [each.get(timeout=WAIT_S).body for each in (first, second)] == [b"ok", b"ok"]
        wait_until(lambda: sessions.open == 0)


def test_a_silent_endpoint_is_asked_if_it_is_there_and_if_not_the_session_ends() -> None:
    pings: list[bytes] = []

    def deaf(peer: Peer, event: object) -> None:
        if isinstance(event, PingReceived):
            pings.append(event.ping_data)
            peer.h2.clear_outbound_data_buffer()

    with to_endpoint(deaf, pings=KeepAlive(0.05, 0.1)) as (sessions, _):
        with pytest.raises(ConnectionClosed):
            sessions.send()
        assert len(pings) == 1
        assert sessions.count("unanswered_pings") == 1
        wait_until(lambda: sessions.open == 0)


def test_an_endpoint_that_answers_pings_may_take_its_time() -> None:
    pings: list[bytes] = []

    def slow(peer: Peer, event: object) -> None:
        if isinstance(event, PingReceived):
            pings.append(event.ping_data)
            if len(pings) == 3:
                peer.reply(1)

    with to_endpoint(slow, pings=KeepAlive(0.05, 5.0)) as (sessions, _):
        assert sessions.send().status == 200
        assert len(pings) == 3


def test_without_streams_nobody_is_asked() -> None:
    pings: list[object] = []

    def script(peer: Peer, event: object) -> None:
        answer(peer, event)  # type: ignore[arg-type]
        if isinstance(event, PingReceived):
            pings.append(event)

    with to_endpoint(script, pings=KeepAlive(0.01, 0.01)) as (sessions, _):
        sessions.send()
        (session,) = sessions._sessions
        session.check(monotonic() + 3600)
        sessions.send()
        assert pings == []


def test_a_session_that_is_told_to_go_serves_what_it_has_and_ends() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.go_away(event.stream_id)
            peer.reply(event.stream_id)

    with to_endpoint(script) as (sessions, endpoint):
        assert sessions.send().body == b"ok"
        assert sessions.idle == 0
        wait_until(lambda: sessions.open == 0)
        assert sessions.send().body == b"ok"
        assert len(endpoint.peers) == 2


def test_a_goaway_with_an_error_is_counted_by_its_code() -> None:
    codes = [ErrorCodes.ENHANCE_YOUR_CALM, 4711, ErrorCodes.NO_ERROR]

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.go_away(event.stream_id, codes[len(endpoint.peers) - 1])
            peer.reply(event.stream_id)

    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        endpoint.script = script
        for _ in codes:
            assert sessions.send().body == b"ok"
            wait_until(lambda: sessions.open == 0)
        goaways = sessions.metrics.scope("goaways", "remote")
        assert goaways.counter("enhance_your_calm").value == 1
        assert goaways.counter("unknown").value == 1
        assert goaways.counter("no_error").value == 0


def test_a_fault_of_an_endpoint_that_ends_the_session_is_counted() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.reply(event.stream_id)
            peer.say(frames.window_update(0, 0))

    with to_endpoint(script) as (sessions, _):
        assert sessions.send().body == b"ok"
        wait_until(lambda: sessions.open == 0)
        assert sessions.metrics.counter("goaways", "local", "protocol_error").value == 1


def test_a_request_above_the_last_stream_goes_out_again_on_another_session() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            if event.stream_id == 1:
                peer.reply(1)
            elif len(endpoint.peers) == 1:
                peer.go_away(1, ErrorCodes.NO_ERROR)
            else:
                peer.reply(event.stream_id)

    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        endpoint.script = script
        sessions.send()
        assert sessions.send().body == b"ok"
        assert len(endpoint.peers) == 2
        assert sessions.count("stale_connections") == 1


def test_it_is_idle_since_the_end_of_its_last_stream() -> None:
    def bodiless(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.head(event.stream_id, 204, ends=True)

    with to_endpoint(bodiless) as (sessions, _):
        sessions.send()
        (session,) = sessions._sessions
        before = monotonic()
        sessions.send()
        wait_until(lambda: session.idle_since >= before)


def test_a_ping_is_not_repeated_while_its_answer_is_due() -> None:
    pings: list[object] = []

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            requests.append(event)
        elif isinstance(event, PingReceived):
            pings.append(event)
            if len(requests) == 1:
                peer.reply(1)

    requests: list[object] = []
    with to_endpoint(script, limits={"first_byte": 1000.0}) as (sessions, _):
        sending = gevent.spawn(sessions.send, seconds=1000.0)
        wait_until(lambda: requests)
        (session,) = sessions._sessions
        for seconds in (331, 332, 333):
            session.check(monotonic() + seconds)
        assert sending.get(timeout=WAIT_S).status == 200
        assert len(pings) == 1


def test_a_session_that_was_told_to_go_does_not_count_as_too_old() -> None:
    requests: list[object] = []

    def script(_: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            requests.append(event)

    lives = {"limits": {"first_byte": 2000.0}, "session": Session(life_seconds=1000.0)}
    with to_endpoint(script, **lives) as (sessions, endpoint):
        sending = gevent.spawn(sessions.send, seconds=2000.0)
        wait_until(lambda: requests)
        (session,) = sessions._sessions
        endpoint.peers[0].go_away(1)
        wait_until(lambda: session.is_retired)
        session.check(monotonic() + 1001)
        assert sessions.count("lifetime") == 0
        endpoint.peers[0].reply(1)
        assert sending.get(timeout=WAIT_S).status == 200
