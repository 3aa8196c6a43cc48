"""A TLS connection that the proxy ends in order ends with close_notify (RFC 8446 section 6.1)."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket
from gevent.event import AsyncResult
from gevent.server import StreamServer

from tests.kit.certs import Certs
from tests.kit.closing import Closing
from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import WAIT_S, WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  client: {{{client}}}
  servers:
  - {{port: 0, ip: 127.0.0.1{server}}}
"""
KEEP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Origin(Closing):
    """A TLS endpoint that sends *answer* once and tells how its connection ended."""

    def __init__(self, context: ssl.SSLContext, answer: bytes) -> None:
        self.end: AsyncResult = AsyncResult()
        """What was read at the end: nothing after close_notify, an ssl.SSLEOFError without."""
        self._context = context
        self._answer = answer
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(timeout=0)

    def _serve(self, plain: socket.socket, _peer: object) -> None:
        sock = self._context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
        with sock:
            sock.recv(65536)
            sock.sendall(self._answer)
            try:
                self.end.set(sock.recv(65536))
            except OSError as error:
                self.end.set(error)


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


def speaking_tls(certs: Certs) -> str:
    return f"tls: {{commonName: origin.test, trustCerts: [{certs.bundle}]}}"


@pytest.mark.parametrize(
    ("answer", "client"),
    [
        pytest.param(KEEP, "clientSession: {idleTimeMs: 20}", id="idle"),
        pytest.param(KEEP, "clientSession: {lifeTimeMs: 1}", id="old"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "", id="asked"
        ),
        pytest.param(KEEP + b"more", "", id="residue"),
        pytest.param(b"garbage\r\n\r\n", "", id="garbage"),
        pytest.param(KEEP, None, id="the proxy ends"),
    ],
)
def test_an_endpoint_is_told_of_the_end(certs: Certs, answer: bytes, client: str | None) -> None:
    settings = ", ".join(filter(None, (speaking_tls(certs), client)))
    with Origin(certs.server("origin.test"), answer) as origin:
        config = CONFIG.format(port=origin.port, client=settings, server="")
        with Proxy(config) as proxy, WireClient(proxy.port()) as asking:
            asking.get("a")
            if client is None:
                proxy.linker.close()
            assert origin.end.get(timeout=WAIT_S) == b""


@pytest.fixture
def secure(certs: Certs) -> Iterator[str]:
    chain, key = certs.files("proxy.test")
    return f", tls: {{certPath: {chain}, keyPath: {key}}}"


@pytest.mark.parametrize(
    ("field", "session"),
    [
        pytest.param("Connection: close", "", id="asked"),
        pytest.param("X: y", ", serverSession: {idleTimeMs: 20}", id="idle"),
        pytest.param("Bad Name: x", "", id="refused"),
        pytest.param("X: y", None, id="the proxy ends"),
    ],
)
def test_a_client_is_told_of_the_end(
    certs: Certs, secure: str, field: str, session: str | None
) -> None:
    with Downstream(lambda _: b"ok") as origin:
        config = CONFIG.format(port=origin.port, client="", server=secure + (session or ""))
        with (
            Proxy(config) as proxy,
            WireClient(proxy.port(), certs.client(), "proxy.test") as asking,
        ):
            asking.sock.suppress_ragged_eofs = False
            asking.get("a", "/", field)
            if session is None:
                proxy.linker.close()
            assert asking.read_to_end() == b""


def test_a_client_learns_of_a_cut_by_a_reset(certs: Certs, secure: str) -> None:
    """An HTTP/1.0 client, to whom the end of data is the end of the body."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n+"
    with Origin(certs.server("origin.test"), answer) as origin:
        config = CONFIG.format(port=origin.port, client=speaking_tls(certs), server=secure)
        with (
            Proxy(config) as proxy,
            WireClient(proxy.port(), certs.client(), "proxy.test") as asking,
        ):
            asking.sock.suppress_ragged_eofs = False
            asking.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                asking.read_to_end()
