"""CONNECT over HTTP/2 within TLS, as browsers and `curl --proxy-http2` use it: a whole proxy."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from gevent import socket
from gevent.server import StreamServer
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset

from tests.kit.certs import Certs
from tests.kit.h2_wire import H2Wire
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import dial

STREAMS = 50


def echo(sock: socket.socket, _: object) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


class Running(NamedTuple):
    """A proxy in front of an endpoint at *port*, and a client within TLS."""

    proxy: Proxy
    port: int
    wire: H2Wire

    def connect(self, authority: str, *more: tuple[str, str]) -> tuple[int, dict[str, str]]:
        """Ask for a tunnel; return its stream and the head of the response."""
        fields = ((":method", "CONNECT"), (":authority", authority), *more)
        stream = self.wire.ask(fields, ends=False)
        return stream, dict(self.wire.until(ResponseReceived, stream).headers)


@contextmanager
def running(certs: Certs, router: str = "") -> Iterator[Running]:
    chain, key = certs.files("proxy.test")
    with closing(StreamServer(("127.0.0.1", 0), echo)) as endpoint:
        endpoint.start()
        port = endpoint.server_port
        text = (
            "admin: {port: 0}\nrouters:\n- protocol: http\n"
            f"  dtab: /svc/* => /$/inet/127.0.0.1/{port}\n  {router}\n  servers:\n"
            f"  - {{port: 0, protocol: auto, connectPorts: [443, {port}],"
            f" tls: {{certPath: {chain}, keyPath: {key}}}}}\n"
        )
        context = certs.client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            Proxy(text) as proxy,
            dial(("127.0.0.1", proxy.port())) as sock,
            context.wrap_socket(sock, server_hostname="proxy.test") as secure,
        ):
            assert isinstance(secure, ssl.SSLSocket)
            yield Running(proxy, port, H2Wire(secure))


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


def test_many_tunnels_share_a_connection_and_each_is_counted(certs: Certs) -> None:
    with running(certs) as run:
        wire = run.wire
        streams = []
        for number in range(STREAMS):
            stream, head = run.connect(f"h{number}.test:{run.port}")
            assert head[":status"] == "200"
            assert "content-length" not in head
            streams.append(stream)
        assert run.proxy.counts(client(run.port), "connections") == [STREAMS]
        for stream in streams:
            wire.send(stream, b"%d" % stream)
            assert wire.until(DataReceived, stream).data == b"%d" % stream
        for stream in streams:
            wire.h2.end_stream(stream)
            wire.flush()
            wire.until(StreamEnded, stream)
        run.proxy.wait_count(client(run.port), "connections", 0)
        assert run.proxy.counts(SERVER, "requests", "success") == [STREAMS, STREAMS]


def test_bulk_goes_through_whole_in_both_directions(certs: Certs) -> None:
    sent = bytes(range(256)) * 4096
    with running(certs) as run:
        wire = run.wire
        stream, _ = run.connect(f"web.test:{run.port}")
        at, got = 0, b""
        while len(got) < len(sent):
            count = min(wire.h2.local_flow_control_window(stream), len(sent) - at)
            if count:
                wire.send(stream, sent[at : at + count])
                at += count
            event = wire.until(DataReceived, stream)
            wire.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            wire.flush()
            got += event.data
        assert got == sent


def test_egress_rules_hold_for_tunnels(certs: Certs) -> None:
    rules = "egress: {rules: [{name: no, action: deny, host: [evil.test]}], default: allow}"
    with running(certs, rules) as run:
        for authority in ("evil.test", "EVIL.test", "evil.test."):
            stream, head = run.connect(f"{authority}:{run.port}")
            assert head[":status"] == "403"
            run.wire.until(StreamReset, stream)
        _, head = run.connect(f"good.test:{run.port}")
        assert head[":status"] == "200"
        assert run.proxy.counts("rt/http/egress", "denied") == [3]


@pytest.mark.parametrize(
    "authority", ["evil.test:443@good.test:443", "[::ffff:127.0.0.1", "a:443/b", "0x7f.1:443"]
)
def test_what_is_no_host_and_port_leads_nowhere(certs: Certs, authority: str) -> None:
    with running(certs) as run:
        fields = ((":method", "CONNECT"), (":authority", authority))
        stream = run.wire.ask(fields, ends=False)
        event = run.wire.until((ResponseReceived, StreamReset), stream)
        assert isinstance(event, StreamReset) or dict(event.headers)[":status"] == "400"
        assert run.proxy.counts(client(run.port), "connects") == [0]


def test_a_tunnel_to_the_proxy_itself_is_refused(certs: Certs) -> None:
    with running(certs) as run:
        dtab = f"/svc/* => /$/inet/127.0.0.1/{run.proxy.port()}"
        stream, head = run.connect(f"web.test:{run.port}", ("l5d-dtab", dtab))
        assert head[":status"] == "508"
        run.wire.until(StreamEnded, stream)


def test_a_client_that_leaves_ends_its_tunnels_and_harms_no_endpoint(certs: Certs) -> None:
    with running(certs) as run:
        for _ in range(3):
            run.connect(f"web.test:{run.port}")
        run.wire.sock.close()
        run.proxy.wait_count(client(run.port), "connections", 0)
        assert run.proxy.counts(client(run.port), "failures", "pending") == [0, 0]


def test_extended_connect_is_not_offered(certs: Certs) -> None:
    with running(certs) as run:
        more = ((":protocol", "websocket"), (":scheme", "https"), (":path", "/"))
        fields = ((":method", "CONNECT"), (":authority", "web.test:443"), *more)
        stream = run.wire.ask(fields, ends=False)
        run.wire.until(StreamReset, stream)
        assert run.wire.h2.remote_settings.enable_connect_protocol == 0
        assert run.proxy.counts(SERVER, "requests") == [0]
