"""The protocol that the endpoint chooses in TLS is spoken, and remembered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import ssl
from gevent.server import StreamServer
from h2.errors import ErrorCodes
from h2.events import RequestReceived

from meshproxy.client.negotiated import NegotiatedConnections
from meshproxy.client.tls import TlsSettings
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import NoResponse, ProxyError
from meshproxy.h2.reset import GoneAway, StreamReset
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream, Received
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.k8s import wait_until
from tests.kit.messages import Pieces, body_of, request

TRANSPORT = Transport(Limits(), 5.0)


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


class Auto(NegotiatedConnections):
    """With the metrics at hand."""

    def __init__(self, port: int, transport: Transport) -> None:
        self.metrics = Tree()
        super().__init__(Address("127.0.0.1", port), transport, ConnectStats(self.metrics))

    def send(self, asked: Request | None = None) -> Response:
        return self.exchange(asked or request(), monotonic() + 10)

    @property
    def connects(self) -> int:
        return self.metrics.counter("connects").value


@contextmanager
def auto(port: int, certs: Certs | None) -> Iterator[Auto]:
    transport = TRANSPORT
    if certs is not None:
        tls = TlsSettings(trust=(str(certs.bundle),))
        transport = replace(TRANSPORT, tls=tls, server_name="web.test")
    connections = Auto(port, transport)
    yield connections
    connections.close()


def page(_: Received) -> bytes:
    return b"page"


def test_an_endpoint_that_chooses_h2_gets_it(certs: Certs) -> None:
    context = certs.server("web.test")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with H2Endpoint(tls=context) as endpoint, auto(endpoint.port, certs) as connections:
        sending = [gevent.spawn(connections.send) for _ in range(5)]
        assert [each.get().version for each in sending] == [b"2"] * 5
        assert (connections.connects, connections.idle) == (1, 1)
        assert connections.connection_counts == (1, 1, 0)


@pytest.mark.parametrize("alpn", [["http/1.1"], []])
def test_any_other_gets_http_over_the_connection_that_is_there(
    certs: Certs, alpn: list[str]
) -> None:
    context = certs.server("web.test")
    if alpn:
        context.set_alpn_protocols(alpn)
    with Downstream(page, context=context) as endpoint, auto(endpoint.port, certs) as connections:
        assert [body_of(connections.send()) for _ in range(3)] == [b"page"] * 3
        assert (connections.connects, connections.idle) == (1, 1)
        assert connections.close_idle() == 1
        assert body_of(connections.send()) == b"page"


def test_in_plain_text_it_is_http() -> None:
    with Downstream(page) as endpoint, auto(endpoint.port, None) as connections:
        assert connections.send().version == b"1.1"
        assert connections.connection_counts == (1, 1, None)


def test_a_session_made_to_test_teaches_the_protocol_too(certs: Certs) -> None:
    context = certs.server("web.test")
    with Downstream(page, context=context) as endpoint, auto(endpoint.port, certs) as connections:
        connections.open_session(monotonic() + 10)
        assert connections.idle == 1
        assert body_of(connections.send()) == b"page"
        connections.open_session(monotonic() + 10)
        assert connections.idle == 1


def test_an_endpoint_may_change_its_mind(certs: Certs) -> None:
    both, only = certs.server("web.test"), certs.server("web.test")
    both.set_alpn_protocols(["h2"])
    with H2Endpoint(tls=both) as endpoint:
        port = endpoint.port
        with auto(port, certs) as connections:
            assert connections.send().version == b"2"
            endpoint.close()
            wait_until(lambda: connections.idle == 0)
            with Downstream(page, context=only, port=port):
                assert connections.send().version == b"1.1"
            connections.close_idle()
            with H2Endpoint(tls=both, port=port):
                assert connections.send().version == b"2"


REQUIRED = ErrorCodes.HTTP_1_1_REQUIRED
Refusal = Callable[[Peer, int], None]


def resets(peer: Peer, stream_id: int) -> None:
    peer.reset(stream_id, REQUIRED)


def goes_away_before(peer: Peer, stream_id: int) -> None:
    """Say that the request has not been looked at."""
    peer.h2.close_connection(REQUIRED, last_stream_id=stream_id - 1)
    peer.flush()
    peer.sock.close()


def goes_away_with(peer: Peer, stream_id: int) -> None:
    """Leave open whether the request has been looked at."""
    peer.h2.close_connection(REQUIRED, last_stream_id=stream_id)
    peer.flush()
    peer.sock.close()


@contextmanager
def wanting_http_1(certs: Certs, refuse: Refusal = resets) -> Iterator[Auto]:
    """Give connections to an endpoint that takes HTTP/2, and refuses every request over it."""

    def serve(sock: ssl.SSLSocket, _: object) -> None:
        if sock.selected_alpn_protocol() == "h2":
            peer = Peer(sock, {})
            while data := sock.recv(65536):
                for event in peer.h2.receive_data(data):
                    if isinstance(event, RequestReceived):
                        refuse(peer, event.stream_id)
                        if sock.closed:
                            return
            return
        data = b""
        while more := sock.recv(65536):
            data += more
            if data.endswith((b"\r\n\r\n", b"0\r\n\r\n")) and (
                b"chunked" not in data or b"\r\n0" in data
            ):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
                data = b""

    context = certs.server("web.test")
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = StreamServer(("127.0.0.1", 0), serve, ssl_context=context, suppress_ragged_eofs=True)
    server.start()
    try:
        with auto(server.server_port, certs) as connections:
            yield connections
    finally:
        server.stop()


@pytest.mark.parametrize("refuse", [resets, goes_away_before, goes_away_with])
def test_an_endpoint_that_requires_http_1_gets_it_from_then_on(
    certs: Certs, refuse: Refusal
) -> None:
    with wanting_http_1(certs, refuse) as connections:
        sending = [gevent.spawn(connections.send) for _ in range(5)]
        assert [body_of(each.get()) for each in sending] == [b"page"] * 5
        before = connections.connects
        assert body_of(connections.send()) == b"page"
        assert connections.connects == before
        wait_until(lambda: not connections._sessions._sessions)


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [(resets, StreamReset), (goes_away_before, GoneAway), (goes_away_with, NoResponse)],
)
def test_a_body_that_cannot_be_sent_again_is_not_and_the_next_request_is(
    certs: Certs, refuse: Refusal, kind: type[ProxyError]
) -> None:
    with wanting_http_1(certs, refuse) as connections:
        body = Pieces(b"a", b"b")
        body.is_replayable = False
        with pytest.raises(kind):
            connections.send(request(method=b"POST", body=body))
        assert connections.connects == 1
        assert body_of(connections.send()) == b"page"
