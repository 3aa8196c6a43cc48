"""CONNECT and switched protocols, through a whole proxy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from gevent import socket
from gevent.queue import JoinableQueue as Queue
from gevent.server import StreamServer

from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.faults import RESET, black_hole
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import Reply, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  {router}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [443, {port}]}}
"""
REASON_BYTES = 200
FIRST_FAILURE = "failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 1}"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"


def echo(sock: socket.socket, _: object = None) -> None:
    while data := sock.recv(4096):
        sock.sendall(b"<" + data + b">")


def chat(sock: socket.socket, _: object) -> None:
    if b"\r\nUpgrade: chat\r\n" in sock.recv(4096):
        sock.sendall(SWITCHED)
        echo(sock)


def config(port: int, router: str = "") -> str:
    """A proxy with tunnels to *port*."""
    return CONFIG.format(port=port, router=router)


@contextmanager
def serving(handler: Callable[[socket.socket, object], None]) -> Iterator[tuple[Proxy, int]]:
    server = StreamServer(("127.0.0.1", 0), handler)
    server.start()
    try:
        with Proxy(config(server.server_port)) as proxy:
            yield proxy, server.server_port
    finally:
        server.stop()


@pytest.fixture
def raw() -> Iterator[tuple[Proxy, int]]:
    with serving(echo) as running:
        yield running


def connect(proxy: Proxy, authority: str, more: str = "") -> WireClient:
    asking = WireClient(proxy.port())
    asking.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{more}\r\n".encode())
    return asking


def test_connect_opens_a_tunnel_to_an_allowed_port(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    with connect(proxy, f"anything:{port}") as asking:
        assert asking.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        asking.send(b"no http at all \x00")
        assert asking.sock.recv(4096) == b"<no http at all \x00>"


def test_a_response_to_connect_has_no_framing(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    with connect(proxy, f"anything:{port}") as asking:
        head = asking.sock.recv(4096).lower()
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        assert b"connection:" not in head


def test_connect_to_another_port_is_forbidden(raw: tuple[Proxy, int]) -> None:
    proxy, _ = raw
    with connect(proxy, "anything:22") as asking:
        reply = asking.read(b"GET")
        assert reply.status == 403
        assert "connectPorts" in (reply.get("l5d-err") or "")


def test_a_client_without_eyes_for_bodies_learns_why_there_is_no_tunnel(
    raw: tuple[Proxy, int],
) -> None:
    proxy, port = raw
    for authority, why in (
        ("web:22", "403 CONNECT to port 22 is not allowed, see connectPorts"),
        ("web", "400 CONNECT needs a host and a port number"),
        (f"web:{port}", "502 Unable to route request! "),
    ):
        with connect(proxy, authority, "l5d-dtab: /svc/* => /$/nil\r\n") as asking:
            reply = asking.read()
            assert f"{reply.status} {reply.reason.decode()}".startswith(why)
            assert reply.reason == b" ".join(reply.body.split())[:REASON_BYTES]
    assert get(proxy.port(), "web", "/", "l5d-dtab: /svc/* => /$/nil").reason == b"Bad Gateway"


def test_python_s_own_client_says_why_there_is_no_tunnel(raw: tuple[Proxy, int]) -> None:
    asking = HTTPConnection("127.0.0.1", raw[0].port(), timeout=5)
    asking.set_tunnel("web", 22)
    with pytest.raises(OSError, match=r"failed: 403 CONNECT to port 22 is not allowed, see con"):
        asking.connect()


def test_clients_that_are_told_nothing_get_the_usual_reason(raw: tuple[Proxy, int]) -> None:
    text = config(raw[1]).replace("connectPorts:", "clearContext: true, connectPorts:")
    with Proxy(text) as proxy, connect(proxy, "web:22") as asking:
        assert asking.read().reason == b"Forbidden"


def test_connect_without_a_port_is_malformed(raw: tuple[Proxy, int]) -> None:
    proxy, _ = raw
    with connect(proxy, "anything") as asking:
        assert asking.read(b"GET").status == 400


def test_a_tunnel_counts_as_a_request_and_as_load(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    client_scope = f"rt/http/client/$/inet/127.0.0.1/{port}"
    with connect(proxy, f"anything:{port}") as asking:
        asking.sock.recv(4096)
        metrics = proxy.metrics()
        assert metrics[f"{client_scope}/requests"] == 1
        assert metrics[f"{client_scope}/loadbalancer/load"] == 1


def test_upgrade_is_passed_on_and_101_opens_a_tunnel() -> None:
    with serving(chat) as (proxy, _), WireClient(proxy.port()) as asking:
        asking.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n"
        )
        head = asking.sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: chat\r\n" in head
        asking.send(b"hi")
        assert asking.sock.recv(4096) == b"<hi>"


def test_what_was_sent_for_a_tunnel_is_no_request_when_there_is_none() -> None:
    with Downstream(lambda _: b"ok") as origin, Proxy(config(origin.port)) as proxy:
        early = "\r\nl5d-dtab: /svc/no:443 => !\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a"
        with WireClient(proxy.port()) as asking:
            asking.send(f"CONNECT no:443 HTTP/1.1\r\nHost: no{early}\r\n\r\n".encode())
            reply = asking.read(b"GET")
            assert (reply.status, reply.get("connection")) == (502, "close")
            assert asking.read_to_end() == b""
        assert origin.requests == []


def test_a_head_may_switch_protocols() -> None:
    with serving(chat) as (proxy, _), WireClient(proxy.port()) as asking:
        asking.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        assert asking.sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        asking.send(b"hi")
        assert asking.sock.recv(4096) == b"<hi>"


def test_101_before_the_end_of_a_request_is_a_bad_response() -> None:
    with (
        BadServer([[Until(), Send(SWITCHED), Stall()]]) as server,
        Proxy(config(server.port)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"
        )
        assert asking.read().status == 502


def test_101_without_upgrade_is_a_bad_response() -> None:
    with (
        BadServer([[Until(), Send(SWITCHED)]]) as server,
        Proxy(config(server.port)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        assert asking.get("a").status == 502


def refused(proxy: Proxy, port: int, more: str = "") -> Reply:
    """What CONNECT is answered, if by no tunnel."""
    with connect(proxy, f"web:{port}", more) as asking:
        return asking.read(b"GET")


def test_a_tunnel_that_leads_nowhere_is_a_502(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    reply = refused(proxy, port, "l5d-dtab: /svc/* => /$/nil\r\n")
    assert (reply.status, bool(reply.get("l5d-err"))) == (502, True)
    assert proxy.counts(SERVER, "failures/no_hosts") == [1]


def test_a_tunnel_does_not_lead_through_another_proxy(raw: tuple[Proxy, int]) -> None:
    _, port = raw
    daemons = f"[{{kind: io.l5d.port, port: {port}}}]"
    through = f"interpreter: {{kind: default, transformers: {daemons}}}"
    with Proxy(config(port, through)) as proxy:
        assert refused(proxy, port).status == 502
        assert proxy.counts(SERVER, "failures/no_tunnel") == [1]


def test_a_tunnel_nobody_answers_is_a_502_and_a_failure() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        gone: int = sock.getsockname()[1]
    with Proxy(config(gone, f"client: {{{FIRST_FAILURE}}}")) as proxy:
        reply = refused(proxy, gone)
        assert (reply.status, reply.get("l5d-retryable")) == (502, "true")
        counted = ("failures/connect", "failure_accrual/removals", "connections")
        assert proxy.counts(client(gone), *counted) == [1, 1, 0]


def test_a_tunnel_takes_no_longer_to_connect_than_it_may() -> None:
    with (
        black_hole() as port,
        Proxy(config(port, "client: {connectTimeoutMs: 100}")) as proxy,
    ):
        assert refused(proxy, port).status == 502
        assert proxy.counts(client(port), "failures/connect") == [1]


def test_the_time_for_a_request_ends_with_the_200(raw: tuple[Proxy, int]) -> None:
    _, port = raw
    limits = "service: {totalTimeoutMs: 100}\n  client: {requestAttemptTimeoutMs: 100}"
    with (
        BadServer([[Stall()]]) as silent,
        Proxy(config(port, limits)) as proxy,
        connect(proxy, f"web:{port}") as asking,
    ):
        assert asking.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        stalls = f"l5d-dtab: /svc/* => /$/inet/127.0.0.1/{silent.port}"
        assert get(proxy.port(), "slow", "/", stalls).status == 503
        asking.send(b"late")
        assert asking.sock.recv(4096) == b"<late>"


def test_a_tunnel_uses_neither_the_pool_nor_the_tls_of_its_client(
    raw: tuple[Proxy, int], tmp_path: Path
) -> None:
    _, port = raw
    tls = f"tls: {{commonName: x, trustCertsBundle: {Certs(tmp_path).bundle}}}"
    with Proxy(config(port, f"client: {{{tls}}}")) as proxy:
        with connect(proxy, f"web:{port}") as asking:
            assert asking.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
            asking.send(b"clear")
            assert asking.sock.recv(4096) == b"<clear>"
        proxy.wait_count(client(port), "connections", 0)
        assert proxy.counts(client(port), "pool_cached", "failures/tls") == [0, 0]


def test_a_reset_of_either_side_reaches_the_other() -> None:
    accepted: Queue = Queue()

    def hold(sock: socket.socket, _: object) -> None:
        accepted.put(sock)
        accepted.join()

    with serving(hold) as (proxy, port):
        for breaks in (0, 1):
            with connect(proxy, f"anything:{port}") as asking:
                asking.sock.recv(4096)
                sides = [asking.sock, accepted.get()]
                sides[breaks].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sides[breaks].close()
                with pytest.raises(ConnectionResetError):
                    sides[1 - breaks].recv(1)
                sides[1 - breaks].close()
                accepted.task_done()
