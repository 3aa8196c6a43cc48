"""Several sessions to an endpoint: when they are made, shared, awaited and replaced."""

from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from h2.events import RequestReceived, StreamEnded
from h2.settings import SettingCodes

from meshproxy.client.h2.sessions import MAX_SESSIONS
from meshproxy.client.tls import TlsSettings
from meshproxy.client.transport import Session
from meshproxy.errors import (
    ConnectFailed,
    ConnectionClosed,
    NoResponse,
    TlsFailed,
    WriteFailed,
)
from tests.kit.certs import Certs
from tests.kit.h2_endpoint import H2Endpoint, Peer, answer
from tests.kit.k8s import wait_until
from tests.kit.messages import Pieces, body_of, request
from tests.kit.wire import WAIT_S, free_port

from .conftest import TRANSPORT, TWO_STREAMS, Held, Sessions, asking, settled, to_endpoint


def test_those_who_wait_share_the_connection_that_is_being_made() -> None:
    with to_endpoint() as (sessions, endpoint):
        bodies = [body_of(each.get(timeout=WAIT_S)) for each in asking(sessions, 30)]
        assert bodies == [b"ok"] * 30
        assert len(endpoint.peers) == 1


def test_a_full_session_gets_a_second_one_and_beyond_all_of_them_requests_wait() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS, max_size=2) as (sessions, endpoint):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 4)
        wait_until(lambda: len(held.waiting) == 4)
        sending += asking(sessions, 3)
        wait_until(lambda: sessions.metrics.gauge("pool_waiters").read() == 3)
        assert len(endpoint.peers) == 2
        while not all(each.ready() for each in sending):
            held.answer(1)
            gevent.sleep(0)
        assert [each.get().body for each in sending] == [b"ok"] * 7
        assert sessions.count("pool_num_waited") == 3
        assert len(endpoint.peers) == 2
        assert sessions.metrics.gauge("pool_waiters").read() == 0


def test_the_first_session_with_room_is_taken_so_that_later_ones_become_idle() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS, session=Session(spare_seconds=0.05, keep=1)) as (
        sessions,
        endpoint,
    ):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 3)
        wait_until(lambda: len(held.waiting) == 3)
        assert sessions.connection_counts == (2, 0, 3)
        held.answer()
        gevent.joinall(sending)
        assert sessions.idle == 2
        assert sessions.connection_counts == (2, 2, 0)
        last = asking(sessions, 1)
        wait_until(lambda: held.waiting)
        assert held.waiting[0][0] is endpoint.peers[0]
        wait_until(lambda: sessions.open == 1)
        held.answer()
        assert last[0].get().status == 200
        assert sessions.idle == 1


def test_a_stream_that_is_given_up_makes_room() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS, max_size=1) as (sessions, _):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        first, second = asking(sessions, 2)
        wait_until(lambda: len(held.waiting) == 2)
        (third,) = asking(sessions, 1)
        wait_until(lambda: sessions.metrics.gauge("pool_waiters").read() == 1)
        first.kill()
        wait_until(lambda: len(held.waiting) == 3)
        del held.waiting[0]
        held.answer()
        assert [second.get().status, third.get().status] == [200, 200]


def test_without_a_limit_there_are_as_many_sessions_as_the_default() -> None:
    held = Held()
    one = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    with to_endpoint(held, one) as (sessions, endpoint):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = [asking(sessions, 1)[0] for _ in range(3)]
        wait_until(lambda: len(held.waiting) >= 1 and len(endpoint.peers) >= 2)
        assert len(endpoint.peers) <= MAX_SESSIONS
        while not all(each.ready() for each in sending):
            held.answer()
            gevent.sleep(0)


def test_a_failure_to_connect_is_that_of_all_who_wait() -> None:
    sessions = Sessions(free_port())
    for each in asking(sessions, 3):
        with pytest.raises(ConnectFailed, match="refused"):
            each.get(timeout=WAIT_S)
    with pytest.raises(ConnectFailed):
        sessions.open_session(gevent.get_hub().loop.now() + 10)


def test_a_failure_to_connect_once_more_is_tried_once_while_others_work() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS) as (sessions, endpoint):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 2)
        wait_until(lambda: len(held.waiting) == 2)
        endpoint.stop_listening()
        failed = sessions.metrics.stat("failed_connect_latency_ms")
        sending += asking(sessions, 1)
        wait_until(lambda: failed.read().summary().count)
        held.answer()
        wait_until(lambda: held.waiting)
        held.answer()
        assert [each.get(timeout=WAIT_S).status for each in sending] == [200] * 3
        assert failed.read().summary().count == 1


def test_a_session_that_is_ending_does_not_hold_up_the_next_one() -> None:
    held = Held()
    with to_endpoint(held, max_size=1) as (sessions, endpoint):
        (first,) = asking(sessions, 1)
        wait_until(lambda: held.waiting)
        endpoint.peers[0].go_away(1)
        wait_until(lambda: not sessions._live)
        (second,) = asking(sessions, 1)
        wait_until(lambda: len(held.waiting) == 2)
        assert len(endpoint.peers) == 2
        held.answer()
        assert [first.get(timeout=WAIT_S).status, second.get(timeout=WAIT_S).status] == [200, 200]


def test_without_a_live_session_a_failure_to_connect_is_told_at_once() -> None:
    held = Held()
    with to_endpoint(held) as (sessions, endpoint):
        (first,) = asking(sessions, 1)
        wait_until(lambda: held.waiting)
        endpoint.peers[0].go_away(1)
        wait_until(lambda: not sessions._live)
        endpoint.stop_listening()
        with pytest.raises(ConnectFailed):
            sessions.send()
        held.answer()
        assert first.get(timeout=WAIT_S).status == 200


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (request(), None),
        (request(method=b"PUT", body=Pieces(b"x")), None),
        (request(method=b"POST", body=Pieces(b"x")), ConnectionClosed),
        (request(method=b"PUT", body=Pieces(b"x", is_replayable=False)), ConnectionClosed),
    ],
)
def test_a_session_that_proves_stale_is_replaced_for_idempotent_requests(
    asked: object, error: type[Exception] | None
) -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived) and peer is endpoint.peers[0] and event.stream_id > 1:
            peer.close()
        elif isinstance(event, StreamEnded):
            peer.reply(event.stream_id)

    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        endpoint.script = script
        sessions.send()
        if error is None:
            assert sessions.send(asked).status == 200  # type: ignore[arg-type]
            assert sessions.count("stale_connections") == 1
        else:
            with pytest.raises(error):
                sessions.send(asked)  # type: ignore[arg-type]


def test_a_new_session_that_ends_before_a_response_is_not_replaced() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.close()

    with to_endpoint(script) as (sessions, endpoint):
        with pytest.raises(NoResponse):
            sessions.send()
        assert len(endpoint.peers) == 1


def test_what_was_not_sent_may_be_sent_again_by_anyone() -> None:
    with to_endpoint() as (sessions, endpoint):
        sessions.send()
        endpoint.stop_listening()
        (session,) = sessions._sessions
        session.stream.sock.shutdown(1)
        with pytest.raises((WriteFailed, ConnectFailed)):
            sessions.send(request(method=b"POST", body=Pieces(b"x")))


def test_closing_ends_idle_sessions_at_once_and_others_after_their_exchange() -> None:
    held = Held()
    with to_endpoint(held) as (sessions, _):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        assert sessions.close_idle() == 1
        wait_until(lambda: sessions.open == 0)
        (last,) = asking(sessions, 1)
        wait_until(lambda: held.waiting)
        assert sessions.close_idle() == 0
        sessions.close()
        held.answer()
        assert last.get().status == 200
        wait_until(lambda: sessions.open == 0)


def test_a_session_can_be_made_to_test_if_it_can() -> None:
    with to_endpoint() as (sessions, endpoint):
        sessions.open_session(gevent.get_hub().loop.now() + 1e9)
        assert (sessions.idle, sessions.open) == (1, 1)
        assert sessions.send().status == 200
        assert len(endpoint.peers) == 1


def test_descriptors_are_given_up_by_idle_sessions() -> None:
    with to_endpoint() as (sessions, _):
        sessions.send()
        assert sessions.let_go(5) == 1
        assert sessions.open == 0
        assert sessions.send().status == 200


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


@pytest.mark.parametrize(("alpn", "works"), [("h2", True), ("http/1.1", False), (None, False)])
def test_in_tls_the_endpoint_must_choose_h2(certs: Certs, alpn: str | None, works: bool) -> None:
    context = certs.server("web.test")
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    tls = TlsSettings(trust=(str(certs.bundle),))
    with H2Endpoint(answer, tls=context) as endpoint:
        sessions = Sessions(endpoint.port, replace(TRANSPORT, tls=tls, server_name="web.test"))
        if works:
            assert sessions.send().status == 200
            assert endpoint.peers[0].heads[1][":scheme"] == "https"
        else:
            with pytest.raises(TlsFailed):
                sessions.send()
        sessions.close()


def test_a_tunnel_is_plain_and_its_own_connection() -> None:
    with to_endpoint() as (sessions, endpoint):
        response = sessions.tunnel(request(), gevent.get_hub().loop.now() + 1e9)
        assert response.status == 200
        wait_until(lambda: len(endpoint.peers) == 1)
        response.close()


def test_those_who_wait_get_a_new_connection_when_the_only_one_breaks() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS, max_size=1) as (sessions, endpoint):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        post = [gevent.spawn(sessions.send, request(method=b"POST")) for _ in range(2)]
        wait_until(lambda: len(held.waiting) == 2)
        (last,) = asking(sessions, 1)
        wait_until(lambda: sessions.metrics.gauge("pool_waiters").read() == 1)
        held.waiting.clear()
        endpoint.peers[0].sock.shutdown(2)
        gevent.joinall(post)
        assert all(isinstance(each.exception, ConnectionClosed) for each in post)
        wait_until(lambda: held.waiting)
        held.answer()
        assert last.get(timeout=WAIT_S).status == 200


def test_a_connection_that_is_made_while_closing_serves_who_waits_and_ends() -> None:
    with to_endpoint() as (sessions, _):
        (sending,) = asking(sessions, 1)
        gevent.sleep(0)
        sessions.close()
        wait_until(sending.ready)
        wait_until(lambda: sessions.count("closes") == sessions.count("connects") == 1)


def test_sessions_beyond_the_first_do_not_stay_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshproxy.client.h2.sessions._SPARE_SECONDS", 0.05)
    held = Held()
    with to_endpoint(held, TWO_STREAMS) as (sessions, _):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 3)
        wait_until(lambda: len(held.waiting) == 3)
        held.answer()
        gevent.joinall(sending)
        wait_until(lambda: sessions.open == 1)
        assert sessions.idle == 1


def test_an_endpoint_that_says_farewell_for_ever_gets_a_bounded_number_of_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("meshproxy.client.h2.sessions.MAX_SESSIONS", 1)
    held = Held()
    with to_endpoint(held, max_size=1) as (sessions, endpoint):
        sending = []
        for number in range(2):
            sending += asking(sessions, 1)
            wait_until(lambda number=number: len(held.waiting) == number + 1)
            endpoint.peers[number].go_away(1)
            wait_until(lambda: not sessions._live)
        sending += asking(sessions, 1)
        wait_until(lambda: sessions._queue.turns)
        assert len(endpoint.peers) == 2
        held.answer(1)
        wait_until(lambda: len(endpoint.peers) == 3)
        wait_until(lambda: len(held.waiting) == 2)
        held.answer()
        assert [each.get(timeout=WAIT_S).status for each in sending] == [200] * 3


def test_streams_that_outlive_many_connections_keep_no_request_out() -> None:
    held = Held()
    with to_endpoint(held) as (sessions, endpoint):
        sending = []
        for number in range(2 * MAX_SESSIONS + 1):
            sending += asking(sessions, 1)
            wait_until(lambda number=number: len(held.waiting) == number + 1)
            endpoint.peers[number].go_away(1)
            wait_until(lambda: not sessions._live)
        held.answer()
        assert {each.get(timeout=WAIT_S).status for each in sending} == {200}
