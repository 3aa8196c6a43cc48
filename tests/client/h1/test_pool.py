"""The connections of one address: how they are made, kept, replaced and given up."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.tls import TlsSettings
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import (
    ConnectFailed,
    ConnectionClosed,
    ServiceTimedOut,
    TlsFailed,
)
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.badserver import BadServer, Reset, Script, Send, Stall, Until
from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import wait_until
from tests.kit.messages import Pieces, body_of, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KEPT_THEN_CLOSED = [Until(), Send(OK), Until(), Reset()]
"""Answers once and closes just as it is used again."""


class Pool(EndpointPool):
    """A pool with its metrics at hand."""

    def __init__(
        self, port: int, transport: Transport | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.metrics = Tree()
        super().__init__(
            Address(host, port), transport or Transport(Limits(), 5.0), ConnectStats(self.metrics)
        )

    def send(self, asked: Request | None = None, seconds: float = 10.0) -> Response:
        return self.exchange(asked or request(), monotonic() + seconds)

    def counts(self, *names: str) -> list[int]:
        return [self.metrics.counter(name).value for name in names]

    @property
    def open(self) -> float:
        return self.metrics.gauge("connections").read()


@contextmanager
def pooling(*scripts: Script) -> Iterator[tuple[Pool, BadServer]]:
    """Make a pool to an endpoint that plays *scripts*, one a connection."""
    with BadServer(scripts) as endpoint:
        pool = Pool(endpoint.port)
        yield pool, endpoint
        pool.close()


def post() -> Request:
    return request(method=b"POST", body=Pieces(b"body"))


# --- keeping ---


def test_a_connection_is_kept_and_used_again() -> None:
    with pooling([Until(), Send(OK), Until(), Send(OK), Stall()]) as (pool, endpoint):
        assert [body_of(pool.send()) for _ in range(2)] == [b"ok", b"ok"]
        assert len(endpoint.received) == 1
        assert pool.counts("connects", "closes") == [1, 0]
        assert pool.open == 1


def test_as_many_connections_are_made_as_requests_run_at_once() -> None:
    with pooling([Until(), Send(OK), Stall()]) as (pool, endpoint):
        sent = [gevent.spawn(pool.send) for _ in range(3)]
        assert [body_of(one.get()) for one in sent] == [b"ok"] * 3
        assert len(endpoint.received) == 3


def test_a_connection_with_residue_is_never_used_again() -> None:
    twice = [Until(), Send(OK + OK), Stall()]
    with pooling(twice) as (pool, endpoint):
        assert [body_of(pool.send()) for _ in range(2)] == [b"ok", b"ok"]
        assert len(endpoint.received) == 2
        assert pool.counts("connects", "closes") == [2, 2]


def test_a_connection_that_spoke_while_it_was_idle_is_never_used_again() -> None:
    talks = [Until(), Send(OK), Until(b"speak"), Send(b"HTTP/1.1 408 Idle\r\n\r\n"), Stall()]
    with pooling(talks, [Until(), Send(OK), Stall()]) as (pool, endpoint):
        pool.send()
        connection = pool._idle.take()
        connection.sock.sendall(b"speak")
        pool._idle.put(connection)
        wait_until(lambda: not connection.is_connected)
        assert pool.send(post()).status == 200
        assert len(endpoint.received) == 2


def test_residue_that_the_hub_has_yet_to_hear_of_is_given_to_nobody() -> None:
    with Downstream(lambda _: b"own") as endpoint:
        pool = Pool(endpoint.port)
        assert body_of(pool.send()) == b"own"
        (sock,) = endpoint._open
        sock.sendall(OK)  # does not switch to the hub
        assert body_of(pool.send()) == b"own"
        assert len(endpoint.wire) == 2
        pool.close()


@pytest.mark.parametrize("more", [[], [Send(OK), Stall()]], ids=["ended", "residue"])
def test_an_idle_connection_that_is_of_no_more_use_is_closed_at_once(more: Script) -> None:
    with pooling([Until(), Send(OK), Until(b"go on"), *more]) as (pool, _):
        pool.send()
        connection = pool._idle.take()
        connection.sock.sendall(b"go on")
        pool._idle.put(connection)
        wait_until(lambda: pool.open == 0)
        assert pool.idle == 0


def test_a_connection_is_given_back_when_the_body_is_over_and_not_before() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    slow = [Until(), Send(head), Until(b"go"), Send(b"ok"), Stall()]
    with pooling(slow, [Until(), Send(OK), Stall()]) as (pool, endpoint):
        first = pool.send()
        assert body_of(pool.send()) == b"ok"
        assert len(endpoint.received) == 2
        assert pool.connection_counts == (2, 1, None)
        first.close()
        assert pool.open == 1
        assert pool.connection_counts == (1, 1, None)


def test_a_closed_pool_closes_what_is_idle_now_and_the_rest_later() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    slow = [Until(), Send(head), Stall()]
    with pooling([Until(), Send(OK), Stall()], slow) as (pool, _):
        pool.send()
        connection = pool._idle.take()
        busy = pool.send()
        pool._idle.put(connection)
        assert pool.open == 2
        pool.close()
        assert pool.open == 1
        busy.close()
        assert pool.open == 0


# --- stale connections ---


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"])
def test_an_idempotent_request_on_a_stale_connection_is_sent_again(method: bytes) -> None:
    answer = OK if method != b"HEAD" else OK[:-2]
    with pooling(KEPT_THEN_CLOSED, [Until(), Send(answer)]) as (pool, endpoint):
        pool.send()
        assert pool.send(request(method=method)).status == 200
        assert len(endpoint.received) == 2
        assert pool.counts("stale_connections") == [1]


def test_a_body_that_is_still_held_goes_with_it() -> None:
    with pooling(KEPT_THEN_CLOSED, [Until(b"body"), Send(OK)]) as (pool, endpoint):
        pool.send()
        assert pool.send(request(method=b"PUT", body=Pieces(b"bo", b"dy"))).status == 200
        assert endpoint.received[1].endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(post(), id="POST"),
        pytest.param(request(method=b"PATCH"), id="PATCH"),
        pytest.param(request(method=b"BREW"), id="an extension"),
        pytest.param(
            request(method=b"PUT", body=Pieces(b"body", is_replayable=False)), id="a body gone"
        ),
    ],
)
def test_what_may_have_been_done_is_not_sent_again(asked: Request) -> None:
    with pooling(KEPT_THEN_CLOSED, [Until(), Send(OK)]) as (pool, endpoint):
        pool.send()
        with pytest.raises(ConnectionClosed):
            pool.send(asked)
        assert len(endpoint.received) == 1


def test_a_fresh_connection_that_ends_before_the_answer_is_not_replaced() -> None:
    with pooling([Until(), Reset()]) as (pool, endpoint):
        with pytest.raises(ConnectionClosed):
            pool.send()
        assert len(endpoint.received) == 1


def test_a_stale_connection_is_replaced_once_only() -> None:
    with pooling(KEPT_THEN_CLOSED, [Until(), Reset()], [Until(), Send(OK)]) as (pool, endpoint):
        pool.send()
        with pytest.raises(ConnectionClosed):
            pool.send()
        assert len(endpoint.received) == 2


def test_one_that_answered_a_byte_is_not_replaced() -> None:
    cut = [Until(), Send(OK), Until(), Send(b"H"), Reset()]
    with pooling(cut, [Until(), Send(OK)]) as (pool, endpoint):
        pool.send()
        with pytest.raises(ConnectionClosed):
            pool.send()
        assert len(endpoint.received) == 1


def test_an_idle_connection_seen_closed_is_replaced_for_every_method() -> None:
    with pooling([Until(), Send(OK)], [Until(b"body"), Send(OK)]) as (pool, endpoint):
        pool.send()
        connection = pool._idle.take()
        wait_until(lambda: endpoint.ended == 1)
        pool._idle.put(connection)
        wait_until(lambda: not connection.is_connected)
        assert pool.send(post()).status == 200
        assert pool.counts("stale_connections") == [0]


# --- connecting ---


def test_a_refusal_may_be_retried_and_is_counted() -> None:
    with Downstream(lambda _: b"") as gone:
        port = gone.port
    pool = Pool(port)
    with pytest.raises(ConnectFailed, match=r"^Connection refused$") as raised:
        pool.send()
    assert raised.value.retryable
    assert pool.metrics.stat("failed_connect_latency_ms").snapshot().count == 1
    assert (pool.counts("connects"), pool.open) == ([0], 0)


@contextmanager
def deaf() -> Iterator[int]:
    """Give a port whose backlog is full, so that connecting to it never ends."""
    waiting = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            one = socket.socket()
            waiting.append(one)
            one.settimeout(0.2)
            try:
                one.connect(listener.getsockname())
            except TimeoutError:
                break
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def test_connecting_ends_with_its_own_limit() -> None:
    with deaf() as port:
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.05 s"):
            (pool := Pool(port, Transport(Limits(), 0.05))).send()
        assert pool.counts("cancelled_connects") == [0]
        with pytest.raises(ServiceTimedOut):
            (pool := Pool(port)).send(seconds=0.05)
        assert pool.counts("cancelled_connects") == [1]


def test_a_handshake_that_stalls_ends_with_the_same_limit() -> None:
    tls = TlsSettings(verify=False)
    with BadServer([[Stall()]]) as endpoint:
        pool = Pool(endpoint.port, Transport(Limits(), 0.05, tls, "a.test"))
        with pytest.raises(ConnectFailed):
            pool.send()


def test_ipv6_works() -> None:
    with Downstream(lambda _: b"six", host="::1") as endpoint:
        pool = Pool(endpoint.port, host="::1")
        assert body_of(pool.send()) == b"six"
        pool.close()


def test_a_connection_may_be_made_after_a_failure() -> None:
    with BadServer([[Until(), Send(OK)]]) as endpoint:
        pool = Pool(endpoint.port)
        endpoint._server.stop(timeout=0)
        with pytest.raises(ConnectFailed):
            pool.send()
        with Downstream(lambda _: b"back", port=endpoint.port):
            assert body_of(pool.send()) == b"back"
            pool.close()


# --- TLS ---


def test_tls_residue_in_the_record_of_a_body_is_given_to_nobody(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    script = [Until(), Send(head), Send(b"ok" + OK.replace(b"ok", b"no")), Stall()]
    tls = TlsSettings(trust=(str(certs.bundle),))
    with BadServer([script], context=certs.server("a.test")) as endpoint:
        pool = Pool(endpoint.port, Transport(Limits(), 5.0, tls, "a.test"))
        assert [body_of(pool.send()) for _ in range(2)] == [b"ok", b"ok"]
        assert len(endpoint.received) == 2
        pool.close()


def test_a_tls_body_until_close_without_a_goodbye_is_a_cut(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    script = [Until(), Send(b"HTTP/1.1 200 OK\r\n\r\npart")]
    tls = TlsSettings(trust=(str(certs.bundle),))
    with BadServer([script], context=certs.server("a.test")) as endpoint:
        pool = Pool(endpoint.port, Transport(Limits(), 5.0, tls, "a.test"))
        with pytest.raises(ConnectionClosed):
            body_of(pool.send())


def test_a_failed_handshake_is_counted_and_names_the_server(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with Downstream(lambda _: Answer(), context=certs.server("b.test")) as endpoint:
        tls = TlsSettings(trust=(str(certs.bundle),))
        pool = Pool(endpoint.port, Transport(Limits(), 5.0, tls, "a.test"))
        with pytest.raises(TlsFailed, match=r"TLS to a\.test failed: .*b\.test"):
            pool.send()
        assert endpoint.requests == []
        assert (pool.counts("connects"), pool.open) == ([0], 0)


# --- outside of requests ---


def test_idle_connections_can_be_closed_while_a_request_runs() -> None:
    with pooling([Until(), Send(OK), Stall()], [Until(), Send(OK[:-2]), Stall()]) as (pool, _):
        pool.send()
        assert pool.close_idle() == 1
        assert (pool.open, pool.idle) == (0, 0)
        answer = pool.send()
        assert pool.close_idle() == 0
        assert pool.open == 1
        answer.close()


def test_a_session_that_is_opened_is_used_by_the_next_request() -> None:
    with pooling([Until(), Send(OK), Stall()]) as (pool, endpoint):
        pool.open_session(monotonic() + 5)
        assert (pool.open, pool.idle) == (1, 1)
        assert body_of(pool.send()) == b"ok"
        assert len(endpoint.received) == 1


def test_a_kept_connection_does_not_pass_for_a_new_session() -> None:
    with pooling([Until(), Send(OK), Stall()], [Stall()]) as (pool, endpoint):
        pool.send()
        pool.open_session(monotonic() + 5)
        wait_until(lambda: len(endpoint.received) == 2)
        assert pool.counts("connects", "closes") == [2, 1]


def test_a_session_that_cannot_be_opened_leaves_its_place_in_the_queue() -> None:
    with BadServer([[]]) as gone:
        port = gone.port
    pool = Pool(port, Transport(Limits(), 5.0, max_size=1, max_waiters=0))
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            pool.open_session(monotonic() + 5)
    pool.close()
