"""CONNECT and switched protocols, through a whole proxy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from gevent import socket
from gevent.server import StreamServer

from tests.kit.badserver import BadServer, Send, Until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [443, {port}]}}
"""
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"


def echo(sock: socket.socket, _: object = None) -> None:
    while data := sock.recv(4096):
        sock.sendall(b"<" + data + b">")


def chat(sock: socket.socket, _: object) -> None:
    if b"\r\nUpgrade: chat\r\n" in sock.recv(4096):
        sock.sendall(SWITCHED)
        echo(sock)


@contextmanager
def serving(handler: Callable[[socket.socket, object], None]) -> Iterator[tuple[Proxy, int]]:
    server = StreamServer(("127.0.0.1", 0), handler)
    server.start()
    try:
        with Proxy(CONFIG.format(port=server.server_port)) as proxy:
            yield proxy, server.server_port
    finally:
        server.stop()


@pytest.fixture
def raw() -> Iterator[tuple[Proxy, int]]:
    with serving(echo) as running:
        yield running


def connect(proxy: Proxy, authority: str) -> WireClient:
    client = WireClient(proxy.port())
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return client


def test_connect_opens_a_tunnel_to_an_allowed_port(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    with connect(proxy, f"anything:{port}") as client:
        assert client.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.send(b"no http at all \x00")
        assert client.sock.recv(4096) == b"<no http at all \x00>"


def test_a_response_to_connect_has_no_framing(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    with connect(proxy, f"anything:{port}") as client:
        head = client.sock.recv(4096).lower()
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        assert b"connection:" not in head


def test_connect_to_another_port_is_forbidden(raw: tuple[Proxy, int]) -> None:
    proxy, _ = raw
    with connect(proxy, "anything:22") as client:
        reply = client.read(b"GET")
        assert reply.status == 403
        assert "connectPorts" in (reply.get("l5d-err") or "")


def test_connect_without_a_port_is_malformed(raw: tuple[Proxy, int]) -> None:
    proxy, _ = raw
    with connect(proxy, "anything") as client:
        assert client.read(b"GET").status == 400


def test_a_tunnel_counts_as_a_request_and_as_load(raw: tuple[Proxy, int]) -> None:
    proxy, port = raw
    client_scope = f"rt/http/client/$/inet/127.0.0.1/{port}"
    with connect(proxy, f"anything:{port}") as client:
        client.sock.recv(4096)
        metrics = proxy.metrics()
        assert metrics[f"{client_scope}/requests"] == 1
        assert metrics[f"{client_scope}/loadbalancer/load"] == 1


def test_upgrade_is_passed_on_and_101_opens_a_tunnel() -> None:
    with serving(chat) as (proxy, _), WireClient(proxy.port()) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n"
        )
        head = client.sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: chat\r\n" in head
        client.send(b"hi")
        assert client.sock.recv(4096) == b"<hi>"


def test_101_without_upgrade_is_a_bad_response() -> None:
    with (
        BadServer([[Until(), Send(SWITCHED)]]) as server,
        Proxy(CONFIG.format(port=server.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        assert client.get("a").status == 502
