"""What a server asks of its clients in TLS."""

import ssl
from pathlib import Path

import pytest
from gevent.ssl import SSLContext

from meshproxy.config.tls import ServerTlsConfig
from meshproxy.server.tls import server_context
from tests.kit.certs import Certs
from tests.kit.serving import serving
from tests.kit.wire import WireClient


def config(certs: Certs, **more: object) -> ServerTlsConfig:
    chain, key = certs.files("web.test")
    return ServerTlsConfig(cert_path=str(chain), key_path=str(key), **more)


def client_with_certificate(certs: Certs) -> SSLContext:
    context = certs.client()
    context.load_cert_chain(*certs.files("client.test"))
    return context


def test_a_client_that_trusts_the_authority_is_served(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with (
        serving(tls=server_context(config(certs)).value) as server,
        WireClient(server.port, certs.client(), "web.test") as client,
    ):
        assert client.get("web.test").status == 200
        assert client.sock.version() in {"TLSv1.2", "TLSv1.3"}


def test_http_1_1_is_what_alpn_gets(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    asking = certs.client()
    asking.set_alpn_protocols(["h2", "http/1.1"])
    with (
        serving(tls=server_context(config(certs)).value) as server,
        WireClient(server.port, asking, "web.test") as client,
    ):
        assert client.sock.selected_alpn_protocol() == "http/1.1"


def test_the_protocols_of_alpn_are_offered_in_their_order(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    asking = certs.client()
    asking.set_alpn_protocols(["http/1.1", "h2"])
    with (
        serving(tls=server_context(config(certs), alpn=("h2", "http/1.1")).value) as server,
        WireClient(server.port, asking, "web.test") as client,
    ):
        assert client.sock.selected_alpn_protocol() == "h2"


def test_a_client_without_certificate_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    asked = config(certs, require_client_auth=True, ca_cert_path=str(certs.bundle))
    with serving(tls=server_context(asked).value) as server:
        good = client_with_certificate(certs)
        with WireClient(server.port, good, "web.test") as client:
            assert client.get("web.test").status == 200
        with pytest.raises(OSError, match=r"certificate|reset|ended"):
            refused(server.port, certs.client())
        assert len(server.served) == 1


def refused(port: int, context: SSLContext) -> None:
    with WireClient(port, context, "web.test") as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        if not client.sock.recv(1):
            raise ConnectionResetError("ended")


def test_a_client_of_another_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certs, others = Certs(tmp_path), Certs(tmp_path / "other")
    asked = config(certs, require_client_auth=True, ca_cert_path=str(certs.bundle))
    stranger = certs.client()
    stranger.load_cert_chain(*others.files("client.test"))
    with serving(tls=server_context(asked).value) as server:
        with pytest.raises(OSError, match=r"certificate|unknown|reset|ended"):
            refused(server.port, stranger)
        assert server.served == []


@pytest.mark.parametrize("which", ["cert_path", "key_path"])
def test_a_file_that_is_no_certificate_is_an_error_at_start(tmp_path: Path, which: str) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("web.test")
    bad = tmp_path / "bad.pem"
    bad.write_text("nonsense")
    paths = {"cert_path": str(chain), "key_path": str(key), which: str(bad)}
    with pytest.raises((ssl.SSLError, OSError, ValueError)):
        server_context(ServerTlsConfig(**paths))
