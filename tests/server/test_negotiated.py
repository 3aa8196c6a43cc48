"""One listener for both versions of HTTP."""

import ssl
from pathlib import Path
from typing import Any

import gevent
import pytest

from meshproxy.errors import NoDescriptor
from meshproxy.h2.frames import PREFACE
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.net.stream import Stream
from tests.kit.certs import Certs
from tests.kit.h2 import SETTINGS, headers, parsed
from tests.kit.h2_serving import H2Serving, parameters, serving_h2
from tests.kit.h2_wire import GET, H2Wire, raw_frames, until
from tests.kit.pair import tcp_pair
from tests.kit.wire import WAIT_S

HTTP_1 = b"GET /one HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


def version(request: Request) -> Response:
    """Answer with the version of the request."""
    return text_response(200, request.version.decode())


def test_the_first_bytes_decide() -> None:
    with serving_h2(version, both=True) as server:
        with server.client() as wire:
            assert wire.body(wire.ask()) == b"2"
        with server.connect() as sock:
            sock.sendall(HTTP_1)
            assert raw_frames(sock).endswith(b"1.1")


def test_bytes_that_come_one_by_one() -> None:
    with serving_h2(version, both=True) as server:
        with server.connect() as sock:
            for at in range(len(HTTP_1)):
                sock.sendall(HTTP_1[at : at + 1])
                gevent.sleep(0)
            assert raw_frames(sock).endswith(b"1.1")
        with server.connect() as sock:
            everything = PREFACE + SETTINGS + headers(1)
            for at in range(len(everything)):
                sock.sendall(everything[at : at + 1])
                gevent.sleep(0)
            said: list[Any] = []
            while not any(one.stream_id == 1 for one in said):
                said += parsed(sock.recv(4096))
            assert len(server.sessions) == 0, "it is within the conversation that was accepted"


def test_a_method_that_begins_like_the_preface() -> None:
    with serving_h2(version, both=True) as server, server.connect() as sock:
        sock.sendall(b"PRI /one HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        assert raw_frames(sock).endswith(b"1.1")


@pytest.mark.parametrize("alpn", [["h2", "http/1.1"], ["http/1.1"], []])
def test_alpn_decides_under_tls(tmp_path: Path, alpn: list[str]) -> None:
    certs = Certs(tmp_path)
    context, client = certs.server("a.test"), certs.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    if alpn:
        client.set_alpn_protocols(alpn)
    with serving_h2(version, both=True, tls=context) as server:
        sock = client.wrap_socket(server.connect(), server_hostname="a.test")
        with sock:
            if "h2" in alpn:
                wire = H2Wire(sock)
                assert wire.body(wire.ask()) == b"2"
            else:
                sock.sendall(HTTP_1)
                assert read_all(sock).endswith(b"1.1")


def read_all(sock: ssl.SSLSocket) -> bytes:
    """Return everything up to the end."""
    found = b""
    while data := sock.recv(65536):
        found += data
    return found


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n"], ids=["nothing", "half a preface"])
def test_a_client_that_says_too_little(sent: bytes) -> None:
    limits = Limits(idle_seconds=0.05, head_seconds=0.05)
    with serving_h2(version, limits, both=True) as server, server.connect() as sock:
        sock.sendall(sent)
        assert raw_frames(sock) == b""
        until(lambda: server.count("idle") == 1)


def test_a_client_that_goes_before_it_has_said_anything() -> None:
    with serving_h2(version, both=True) as server:
        server.connect().close()
        until(lambda: server.count("closes") == 1)


def end_idle(server: H2Serving) -> bool:
    """Ask the only connection to end, in the hub."""
    ended: list[bool] = []
    (only,) = server.listener._connections
    gevent.get_hub().loop.run_callback(lambda: ended.append(only.end_idle()))
    until(lambda: ended)
    return ended[0]


def test_connections_end_when_idle_before_and_after_the_choice() -> None:
    with serving_h2(version, both=True) as server:
        with server.connect() as sock:
            until(lambda: server.listener._connections)
            gevent.sleep(0)
            assert end_idle(server)
            assert raw_frames(sock) == b""
        until(lambda: not server.listener._connections)
        with server.client() as wire:
            wire.body(wire.ask())
            assert end_idle(server)
            raw_frames(wire.sock)


def test_a_reload_reaches_connections_before_and_after_the_choice() -> None:
    def other(_: Request) -> Response:
        return text_response(200, "other")

    with serving_h2(version, both=True) as server, server.client() as wire:
        assert wire.body(wire.ask()) == b"2"
        with server.connect() as early, server.connect() as chosen:
            chosen.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            assert chosen.recv(4096)
            until(lambda: len(server.listener._connections) == 3)
            server.listener.adopt(parameters(server, other, both=True))
            assert wire.body(wire.ask()) == b"other"
            for sock in (early, chosen):
                sock.sendall(HTTP_1)
                assert raw_frames(sock).endswith(b"other")


def test_draining_ends_all_of_them() -> None:
    with serving_h2(version, both=True) as server:
        wires = [H2Wire(server.connect()) for _ in range(2)]
        for wire in wires:
            wire.body(wire.ask(GET))
        early = server.connect()
        until(lambda: len(server.listener._connections) == 3)
        closing = gevent.spawn(server.listener.close, 10.0)
        assert raw_frames(early) == b""
        for wire in wires:
            raw_frames(wire.sock)
            wire.sock.close()
        early.close()
        assert closing.get(timeout=WAIT_S) is True


def test_refusals_are_in_http_1() -> None:
    with serving_h2(version, both=True) as server:
        ours, theirs = tcp_pair()
        gevent.spawn(server.protocol.refuse, Stream(ours), NoDescriptor("none left"))
        with theirs:
            assert raw_frames(theirs).startswith(b"HTTP/1.1 503 ")
