"""A listener accepts within its bounds, speaks TLS if told to, and drains without a cut."""

import contextlib
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.errors import ProxyError
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.metrics.tree import Tree
from meshproxy.net.descriptors import ADMIN, CLIENTS
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.listener import Listener, ServerParameters
from meshproxy.server.listening import listen
from meshproxy.service import Service
from tests.kit.certs import Certs
from tests.kit.k8s import wait_until
from tests.kit.scarcity import few_descriptors
from tests.kit.serving import Serving, serving
from tests.kit.wire import WireClient, dial, get

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def parameters(service: Service[Request, Response], **others: Any) -> ServerParameters:
    """Serve *service*, by *others* where they are given."""

    def answer(error: ProxyError, _request: Request | None) -> Response:
        return error_response(error, Limits())

    given = {"max_connections": 0, "metrics": Tree(), **others}
    return ServerParameters(protocol=Http1(service, Limits(), answer), **given)


class Gate:
    """A service that answers when it is let."""

    def __init__(self) -> None:
        self.entered, self.open = Event(), Event()

    def __call__(self, _request: Request, _body: bytes) -> Response:
        self.entered.set()
        self.open.wait()
        return text_response(200, "ok")


def drained(server: Serving, grace_s: float = 5.0) -> "gevent.Greenlet[..., bool]":
    closing = gevent.spawn(server.listener.close, grace_s)
    gevent.sleep(0)
    return closing


def test_a_busy_connection_finishes_and_says_it_closes() -> None:
    gate = Gate()
    with serving(gate) as server, WireClient(server.port) as client:
        client.send(GET)
        gate.entered.wait()
        closing = drained(server)
        gate.open.set()
        assert client.read().get("connection") == "close"
        assert client.read_to_end() == b""
        client.close()
        assert closing.get() is True


@pytest.mark.parametrize("before", [b"", GET, GET + b"\r\n"])
def test_an_idle_connection_is_closed_at_once(before: bytes) -> None:
    limits = Limits(idle_seconds=600, head_seconds=600)
    with serving(limits=limits) as server, WireClient(server.port) as client:
        client.send(before)
        if before:
            client.read()
        gevent.sleep(0.02)
        closing = drained(server)
        assert client.read_to_end() == b""
        assert closing.get() is True


def test_a_request_half_received_is_served_before_the_end() -> None:
    with serving() as server, WireClient(server.port) as client:
        client.get("a")
        client.send(GET[:10])
        gevent.sleep(0.02)
        closing = drained(server)
        client.send(GET[10:])
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (200, "close")
        client.close()
        assert closing.get() is True


def test_a_request_that_waits_in_the_kernel_is_served_before_the_end() -> None:
    with serving() as server, WireClient(server.port) as client:
        client.get("a")
        gevent.sleep(0.02)
        client.sock._sock.send(GET)
        closing = drained(server)
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (200, "close")
        client.close()
        assert closing.get() is True


def test_what_has_not_finished_in_time_is_cut() -> None:
    with serving(Gate()) as server, WireClient(server.port) as client:
        client.send(GET)
        gevent.sleep(0.02)
        assert drained(server, 0.05).get() is False
        assert client.read_to_end() == b""


def test_nothing_is_accepted_after_the_end() -> None:
    with serving() as server:
        server.listener.close(0)
        with pytest.raises(ConnectionRefusedError):
            WireClient(server.port)


def test_more_connections_than_allowed_wait_for_their_turn() -> None:
    gate = Gate()
    with serving(gate, max_connections=2) as server, contextlib.ExitStack() as held:
        clients = [held.enter_context(WireClient(server.port)) for _ in range(3)]
        for client in clients:
            client.send(GET)
        gate.entered.wait()
        wait_until(lambda: server.listener._server._has_rested)
        assert len(server.served) == 2
        gate.open.set()
        assert [client.read().status for client in clients] == [200] * 3


def test_the_oldest_idle_connections_make_room_for_clients_that_wait() -> None:
    with serving(max_connections=3) as server, contextlib.ExitStack() as held:
        clients = [held.enter_context(WireClient(server.port)) for _ in range(3)]
        assert {client.get("a").status for client in clients} == {200}
        begun, oldest, newer = clients
        begun.send(GET[:-2])
        assert get(server.port, "a").status == 200
        assert oldest.read_to_end() == b""
        begun.send(GET[-2:])
        assert begun.read().status == 200
        assert newer.get("a").status == 200
        assert server.metrics.counter("idle").value == 1


def test_nobody_makes_room_while_nobody_waits() -> None:
    with serving(max_connections=1) as server, WireClient(server.port) as client:
        assert client.get("a").status == 200
        wait_until(lambda: server.listener._server._has_rested)
        assert client.get("a").status == 200


def test_connections_are_counted() -> None:
    with serving() as server:
        with WireClient(server.port) as client:
            client.get("a")
            assert gauges(server) == (1, 0, 1)
        while server.metrics.counter("closes").value == 0:
            gevent.sleep(0)
        assert gauges(server) == (1, 1, 0)


def gauges(server: Serving) -> tuple[float, float, float]:
    counts = [server.metrics.counter(name).value for name in ("connects", "closes")]
    return counts[0], counts[1], server.metrics.gauge("connections").read()


def test_an_address_in_use_is_told_by_name() -> None:
    with serving() as server, pytest.raises(OSError, match=rf"127\.0\.0\.1:{server.port}"):
        listen(("127.0.0.1", server.port), SocketOptionsConfig())


def test_ipv6_is_listened_on() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        sock = listen(("::1", 0), SocketOptionsConfig())
    except OSError:
        pytest.skip("no ::1 here")
    listener = Listener(sock, parameters(lambda _: text_response(200, "six")))
    listener.start()
    with dial(("::1", listener.port), timeout_s=5) as sock:
        sock.sendall(GET)
        assert sock.recv(65536).endswith(b"six")
    listener.close(1)


def test_tls_is_spoken_and_ends_with_goodbye(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with (
        serving(tls=certs.server("web.test")) as server,
        WireClient(server.port, certs.client(), "web.test") as client,
    ):
        client.sock.suppress_ragged_eofs = False
        assert client.get("web.test").body == b"ok"
        assert server.metrics.gauge("tls", "connections").read() == 1
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        client.send(b"x" * 200_000)
        assert client.read().status == 200
        assert len(server.lines[1]) == 200_000 + len("POST / ")
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read().body == b"ok"
        assert client.read_to_end() == b""


def test_a_client_without_tls_is_turned_away(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with serving(tls=certs.server("web.test")) as server:
        with WireClient(server.port) as client:
            client.send(GET)
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP/1.1" not in client.read_to_end()
        while not server.metrics.counter("tls", "failures").value:
            gevent.sleep(0)
        with WireClient(server.port, certs.client(), "web.test") as client:
            assert client.get("web.test").status == 200


def test_a_client_in_its_handshake_does_not_outlive_the_listener(tmp_path: Path) -> None:
    context = Certs(tmp_path).server("web.test")
    with serving(tls=context) as server, WireClient(server.port) as client:
        gevent.sleep(0.02)
        assert server.listener.close(0.05) is False
        assert client.read_to_end() == b""


def test_a_handshake_that_ends_after_the_drain_began_is_served_once(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with serving(tls=certs.server("web.test")) as server:
        sock = dial(("127.0.0.1", server.port), timeout_s=5)
        gevent.sleep(0.02)
        closing = drained(server)
        with certs.client().wrap_socket(sock, server_hostname="web.test") as client:
            client.sendall(GET)
            assert b"Connection: close" in client.recv(65536)
        assert closing.get() is True


def test_one_of_several_that_listen_at_an_address_is_closed_first_when_killed() -> None:
    """Linux goes by the number of the descriptor."""
    with listen(("127.0.0.1", 0), SocketOptionsConfig(reuse_port=True)) as shared:
        assert shared.fileno() > 800
        assert not shared.get_inheritable()
        with dial(shared.getsockname()), shared.accept()[0] as accepted:
            assert accepted.fileno() < shared.fileno()


# --- descriptors ---


def test_without_a_descriptor_to_spare_a_client_is_told_so_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as server, few_descriptors(CLIENTS):
        for _ in range(20):
            with WireClient(server.port) as client:
                reply = client.read()
                assert (reply.status, reply.get("l5d-retryable")) == (503, "true")
                assert reply.get("l5d-err") == "the+proxy+is+out+of+file+descriptors"
                assert client.read_to_end() == b""
        assert server.served == []
        assert {error.reason for error in server.refused} == {"no_descriptor"}
    assert caplog.text.count("refusing connections") == 1


def test_who_does_not_read_the_refusal_is_closed_for_the_next() -> None:
    with serving() as server, few_descriptors(CLIENTS), contextlib.ExitStack() as held:
        clients = [held.enter_context(WireClient(server.port)) for _ in range(12)]
        assert {client.read().status for client in clients} == {503}
        wait_until(lambda: len(server.listener._greenlets) == 8)
        assert [client.read_to_end() for client in clients[:4]] == [b""] * 4


def test_a_busy_connection_stays_and_an_idle_one_makes_room() -> None:
    with serving() as server, contextlib.ExitStack() as held:
        busy, idle = (held.enter_context(WireClient(server.port)) for _ in range(2))
        for client in (busy, idle):
            assert client.get("a").status == 200
        busy.send(GET[:-2])
        made_old(server)
        connections = server.listener._connections
        wait_until(lambda: [one.is_busy for one in connections] == [True, False])
        with few_descriptors(CLIENTS):
            assert get(server.port, "a").status == 200
            assert idle.read_to_end() == b""
            assert get(server.port, "a").status == 503
        busy.send(GET[-2:])
        assert busy.read().status == 200


def test_one_that_has_just_connected_is_not_idle() -> None:
    with serving() as server, WireClient(server.port) as first:
        assert first.get("a").status == 200
        with few_descriptors(CLIENTS):
            assert get(server.port, "a").status == 503
        assert first.get("a").status == 200


def test_a_larger_share_is_for_who_has_to_know() -> None:
    with serving(share=ADMIN) as server, few_descriptors(CLIENTS):
        assert get(server.port, "a").status == 200


def test_tls_is_not_begun_for_a_refusal(tmp_path: Path) -> None:
    context = Certs(tmp_path).server("pair.test")
    with serving(tls=context) as server, few_descriptors(CLIENTS):
        with WireClient(server.port) as client:
            assert client.read_to_end() == b""
        assert server.metrics.counter("failures", "no_descriptor").value == 1


def made_old(server: Serving) -> None:
    """Let the connections be a minute old."""
    wait_until(lambda: len(server.listener._connections) == 2)
    for connection in server.listener._connections:
        server.listener._connections[connection] -= 60
