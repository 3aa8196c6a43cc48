"""What clients can do wrong: it costs them their own request, and nobody else anything."""

from collections.abc import Iterator
from contextlib import ExitStack

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.downstream import Answer, Downstream, Received, SlowDownstream
from tests.kit.faults import RESET, Fault, FaultProxy, black_hole
from tests.kit.k8s import wait_until
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import WAIT_S, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  client: {{failureAccrual: {{kind: io.l5d.consecutiveFailures, failures: 1}}, {client}}}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""
GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
COUNTED = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\n0123456789"
CHUNKED = b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
BLAMELESS = ("failures", "failure_accrual/removals", "cut_responses")
"""What no client may make an endpoint answer for."""


def proxy_to(port: int, server: str = "", client: str = "") -> Proxy:
    return Proxy(CONFIG.format(port=port, server=server, client=client))


def leave(asking: WireClient, by_reset: bool = True) -> None:
    """Close, by RST or not."""
    if by_reset:
        asking.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    asking.close()


def endless(_: Received) -> Answer:
    return Answer(body=iter(lambda: b"x" * 65536, b""))


# --- half-closed ---


@pytest.mark.parametrize("raw", [GET, COUNTED, CHUNKED])
def test_a_client_that_half_closes_gets_its_response(raw: bytes) -> None:
    has_ended = Event()

    def slowly(_: Received) -> Answer:
        has_ended.wait(10)
        return Answer(body=iter([b"one", b"two"]))

    with (
        Downstream(slowly) as origin,
        proxy_to(origin.port) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(raw)
        asking.sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: origin.requests)
        has_ended.set()
        assert asking.read(raw[:4].strip()).body == b"onetwo"
        assert asking.read_to_end() == b""
        assert proxy.counts(SERVER, "success", "client_aborts", "failures") == [1, 0, 0]


def test_all_that_was_asked_before_a_half_close_is_answered() -> None:
    with (
        Downstream(lambda request: request.target.encode()) as origin,
        proxy_to(origin.port) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(GET.replace(b"/ ", b"/1 ") + COUNTED.replace(b"/ ", b"/2 ") + GET)
        asking.sock.shutdown(socket.SHUT_WR)
        methods = (b"GET", b"POST", b"GET")
        assert [asking.read(method).body for method in methods] == [b"/1", b"/2", b"/"]
        assert asking.read_to_end() == b""


# --- gone ---


@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("raw", [COUNTED, CHUNKED], ids=["a length", "chunks"])
def test_a_request_cut_at_any_byte_never_arrives_whole(raw: bytes, is_reset: bool) -> None:
    with Downstream(lambda _: b"x") as origin, proxy_to(origin.port) as proxy:
        for cut in range(1, len(raw)):
            cutting = FaultProxy(proxy.port(), up=Fault(cut_after=cut, is_reset=is_reset))
            with cutting as bad, WireClient(bad.port) as asking:
                asking.send(raw)
                wait_until(lambda: bad.ended)
        proxy.wait_count(SERVER, "connections", 0)
        assert origin.requests == []
        assert proxy.counts(client(origin.port), *BLAMELESS[1:], "connections") == [0, 0, 0]
        assert get(proxy.port(), "web").status == 200


def test_a_client_that_leaves_in_its_request_leaves_no_complete_one() -> None:
    with BadServer([[Until(b"never")]]) as endpoint, proxy_to(endpoint.port) as proxy:
        with WireClient(proxy.port()) as asking:
            asking.send(CHUNKED[: -len(b"0\r\n\r\n")])
            wait_until(lambda: endpoint.received and endpoint.received[0].endswith(b"abc\r\n"))
        wait_until(lambda: endpoint.ended, 1)
        assert len(endpoint.received) == 1
        assert not endpoint.received[0].endswith(b"0\r\n\r\n")
        proxy.wait_count(SERVER, "client_aborts")
        assert proxy.counts(SERVER, "failures/client_gone") == [1]
        counted = ("failures/client_gone", "failure_accrual/removals", "connections")
        assert proxy.counts(client(endpoint.port), *counted) == [1, 0, 0]


@pytest.mark.parametrize("by_reset", [False, True], ids=["close", "reset"])
def test_a_client_that_leaves_in_its_response_ends_it_at_once(by_reset: bool) -> None:
    with (
        Downstream(endless) as origin,
        FaultProxy(origin.port) as way,
        proxy_to(way.port) as proxy,
    ):
        asking = WireClient(proxy.port())
        asking.send(GET)
        asking.sock.recv(100_000)
        leave(asking, by_reset)
        wait_until(lambda: way.ended, 1)
        proxy.wait_count(SERVER, "client_aborts")
        assert proxy.counts(client(way.port), *BLAMELESS, "pool_cached") == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "step",
    [[], [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")], [Send(b"HTTP/1.1 200")]],
    ids=["before the head", "in the body", "in the head"],
)
def test_a_reset_ends_the_wait_for_a_silent_endpoint(step: list[Send]) -> None:
    with (
        BadServer([[Until(), *step, Until(b"never")]]) as endpoint,
        proxy_to(endpoint.port) as proxy,
    ):
        asking = WireClient(proxy.port())
        asking.send(GET)
        wait_until(lambda: endpoint.received and endpoint.received[0].endswith(b"\r\n\r\n"))
        if b"part" in b"".join(each.data for each in step):
            asking.sock.recv(65536)
        leave(asking)
        wait_until(lambda: endpoint.ended, 1)
        proxy.wait_count(SERVER, "client_aborts")
        assert proxy.counts(client(endpoint.port), *BLAMELESS[1:], "connections") == [0, 0, 0]


@pytest.mark.parametrize("tls", ["", "tls: {commonName: web.test}"], ids=["TCP", "TLS"])
def test_a_reset_ends_connecting_too(tls: str) -> None:
    with BadServer([[Until(b"never")]]) as endpoint, black_hole() as hole:
        port = endpoint.port if tls else hole
        with proxy_to(port, client=f"connectTimeoutMs: 9000, {tls}") as proxy:
            asking = WireClient(proxy.port())
            asking.send(GET)
            proxy.wait_count(SERVER, "pending")
            if tls:
                wait_until(lambda: endpoint.received and endpoint.received[0])
            leave(asking)
            wait_until(lambda: proxy.counts(SERVER, "client_aborts") == [1], 1)
            assert proxy.counts(client(port), "failure_accrual/removals", "connections") == [0, 0]
            wait_until(lambda: endpoint.ended == bool(tls), 1)


# --- slow ---


@pytest.mark.parametrize(
    "head", [b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: web\r\nX:"]
)
def test_a_slow_head_is_a_408_at_the_limit(head: bytes) -> None:
    with (
        Downstream(lambda _: b"x") as origin,
        proxy_to(origin.port, "headerReadTimeoutMs: 100") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(head)
        assert asking.read().status == 408
        assert asking.read_to_end() == b""
        assert origin.requests == []
        assert proxy.counts(SERVER, "failures/client_timeout", "status/408") == [1, 1]


def test_a_byte_now_and_then_does_not_extend_the_time_for_a_head() -> None:
    with (
        Downstream(lambda _: b"x") as origin,
        proxy_to(origin.port, "headerReadTimeoutMs: 150") as proxy,
        FaultProxy(proxy.port(), up=Fault(piece=1, pause_s=0.02)) as slow,
        WireClient(slow.port) as asking,
    ):
        asking.send(GET)
        assert asking.read().status == 408
        assert origin.requests == []


def test_many_slow_clients_slow_nobody_else() -> None:
    limits = "headerReadTimeoutMs: 300"
    with Downstream(lambda _: b"x") as origin, proxy_to(origin.port, limits) as proxy:
        slow = [WireClient(proxy.port()) for _ in range(100)]
        for asking in slow:
            asking.send(b"GET / HTTP/1.1\r\nHost: web\r\nX: ")
        proxy.wait_count(SERVER, "connections", 100)
        with WireClient(proxy.port()) as other:
            assert {other.get("web").status for _ in range(20)} == {200}
        assert {asking.read().status for asking in slow} == {408}
        for asking in slow:
            asking.close()
        assert proxy.counts(SERVER, "failures/client_timeout") == [100]


def test_a_slow_body_is_a_408_and_an_aborted_request() -> None:
    with (
        BadServer([[Until(b"never")]]) as endpoint,
        proxy_to(endpoint.port, "socketOptions: {readTimeoutMs: 100}") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(COUNTED[:-5])
        assert asking.read(b"POST").status == 408
        wait_until(lambda: endpoint.ended, 1)
        assert endpoint.received[0].endswith(b"01234")
        assert proxy.counts(SERVER, "failures/client_timeout") == [1]
        counted = ("failure_accrual/removals", "connections")
        assert proxy.counts(client(endpoint.port), *counted) == [0, 0]


def test_a_client_that_never_reads_is_closed_and_fills_no_memory() -> None:
    made = 0

    def counted(_: Received) -> Answer:
        def pieces() -> Iterator[bytes]:
            nonlocal made
            while True:
                made += 65536
                yield b"x" * 65536

        return Answer(body=pieces())

    with (
        Downstream(counted) as origin,
        FaultProxy(origin.port) as way,
        proxy_to(way.port, "socketOptions: {writeTimeoutMs: 100}") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        before = proxy.metrics()["process/rss"]
        asking.send(GET)
        wait_until(lambda: way.ended)
        proxy.wait_count(SERVER, "write_timeout")
        assert proxy.counts(client(way.port), *BLAMELESS, "connections") == [0, 0, 0, 0]
        assert made < 32 << 20  # what kernels hold on five sockets
        assert proxy.metrics()["process/rss"] - before < 16 << 20


# --- many ---


def test_hundreds_of_idle_connections_are_served_beside() -> None:
    with Downstream(lambda _: b"x") as origin, proxy_to(origin.port) as proxy:
        idle = [WireClient(proxy.port()) for _ in range(500)]
        proxy.wait_count(SERVER, "connections", 500)
        assert {get(proxy.port(), "web").status for _ in range(20)} == {200}
        assert {asking.get("web").status for asking in idle[::50]} == {200}
        for asking in idle:
            asking.close()
        proxy.wait_count(SERVER, "connections", 0)


def test_who_finds_the_server_full_takes_the_place_of_the_oldest_who_is_idle() -> None:
    with (
        SlowDownstream() as origin,
        proxy_to(origin.port, "maxConnections: 2") as proxy,
        WireClient(proxy.port()) as busy,
        WireClient(proxy.port()) as idle,
        WireClient(proxy.port()) as waiting,
    ):
        busy.send(GET)
        origin.wait_asked()
        waiting.send(GET)
        assert idle.read_to_end() == b""
        proxy.wait_count(SERVER, "pending", 2)
        assert proxy.counts(SERVER, "connections", "connects", "idle") == [2, 3, 1]
        origin.let_go()
        assert [asking.read().status for asking in (busy, waiting)] == [200, 200]


def test_clients_that_only_hold_connections_keep_nobody_out() -> None:
    with (
        Downstream(lambda _: b"x") as origin,
        proxy_to(origin.port, "maxConnections: 100") as proxy,
        ExitStack() as held,
    ):
        for _ in range(150):
            held.enter_context(WireClient(proxy.port()))
        assert get(proxy.port(), "web").status == 200


def test_who_pipelines_is_served_in_order_and_held_up_no_further_than_needed() -> None:
    with (
        Downstream(lambda request: request.target.encode()) as origin,
        proxy_to(origin.port) as proxy,
        WireClient(proxy.port()) as greedy,
    ):
        targets = [f"/{number}" for number in range(300)]
        sending = gevent.spawn(
            greedy.send, b"".join(GET.replace(b"/ ", f"{each} ".encode()) for each in targets)
        )
        assert get(proxy.port(), "web").status == 200
        assert [greedy.read().body.decode() for _ in targets] == targets
        sending.get(timeout=WAIT_S)


# --- tunnels ---


def tunnel(proxy: Proxy, port: int) -> WireClient:
    asking = WireClient(proxy.port())
    asking.send(b"CONNECT web:%d HTTP/1.1\r\nHost: web\r\n\r\n" % port)
    return asking


@pytest.mark.parametrize("by_reset", [False, True], ids=["close", "reset"])
def test_a_client_that_leaves_its_tunnel_takes_the_endpoint_along(by_reset: bool) -> None:
    with (
        BadServer([[Until(b"hello"), Send(b"hi"), Until(b"never")]]) as endpoint,
        proxy_to(endpoint.port, f"connectPorts: [{endpoint.port}]") as proxy,
    ):
        asking = tunnel(proxy, endpoint.port)
        assert asking.sock.recv(65536).startswith(b"HTTP/1.1 200")
        asking.send(b"hello")
        assert asking.sock.recv(65536) == b"hi"
        leave(asking, by_reset)
        wait_until(lambda: endpoint.ended, 1)
        proxy.wait_count(SERVER, "connections", 0)
        assert proxy.counts(client(endpoint.port), *BLAMELESS, "connections") == [0, 0, 0, 0]


def test_a_tunnel_in_which_nothing_moves_is_closed() -> None:
    with BadServer([[Stall()]]) as endpoint:
        limits = f"connectPorts: [{endpoint.port}], serverSession: {{idleTimeMs: 100}}"
        with (
            proxy_to(endpoint.port, limits) as proxy,
            tunnel(proxy, endpoint.port) as asking,
        ):
            assert asking.sock.recv(65536).startswith(b"HTTP/1.1 200")
            assert asking.read_to_end() == b""
            assert proxy.counts(client(endpoint.port), "connections") == [0]
