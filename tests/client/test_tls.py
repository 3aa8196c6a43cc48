"""What a client demands of a server's certificate, and what it shows of itself."""

import contextlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
import trustme
from gevent import socket
from gevent.server import StreamServer

from meshproxy.client import tls
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.tls import ClientAuth, TlsSettings, context
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.config.watched import WatchedFiles
from meshproxy.errors import ConnectFailed, TlsFailed
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket
from tests.kit.badserver import BadServer, Send, Stall
from tests.kit.certs import Certs
from tests.kit.daemons import find
from tests.kit.downstream import Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.messages import body_of, request
from tests.kit.wire import WAIT_S, dial, free_port


@pytest.fixture
def renegotiates(certs: Certs, tmp_path: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A server of OpenSSL's, which renegotiates if its standard input says `R`, and its port."""
    if (openssl := find("openssl")) is None:
        pytest.skip("needs openssl")
    chain, key = certs.files("web.test")
    port = free_port()
    command = (openssl, "s_server", "-tls1_2", "-accept", f"127.0.0.1:{port}")
    with (
        (tmp_path / "s_server.log").open("wb") as log,
        subprocess.Popen(
            (*command, "-cert", str(chain), "-key", str(key)),
            stdin=subprocess.PIPE, stdout=log, stderr=log,
        ) as server,
    ):  # fmt: skip
        wait_until(lambda: accepts(port))
        yield port, server
        server.kill()


def accepts(port: int) -> bool:
    """Return True if something serves at *port*."""
    try:
        dial(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


def ask(server: Downstream | BadServer, settings: TlsSettings, name: str | None) -> bytes:
    """Ask *server* for its page, as the client of *settings* and *name* does."""
    pool = EndpointPool(
        Address("127.0.0.1", server.port),
        Transport(Limits(), 5.0, settings, name),
        ConnectStats(Tree()),
    )
    try:
        return body_of(pool.exchange(request(), monotonic() + 10))
    finally:
        pool.close()


def page(_: Received) -> bytes:
    return b"page"


def trusting(certs: Certs, **more: object) -> TlsSettings:
    return TlsSettings(trust=(str(certs.bundle),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "subject", "indication"),
    [
        ("a.test", "a.test", "a.test"),
        ("A.Test", "a.test", "A.Test"),
        ("a.test", "A.TEST", "a.test"),
        ("a.test.", "a.test", "a.test"),
        ("b.a.test", "*.a.test", "b.a.test"),
        ("127.0.0.1", "127.0.0.1", None),
        ("::1", "::1", None),
        ("[::1]", "::1", None),
    ],
)
def test_the_name_is_asked_for_and_found_among_the_alternative_names(
    certs: Certs, name: str, subject: str, indication: str | None
) -> None:
    with Downstream(page, context=certs.server("other.test", subject)) as server:
        assert ask(server, trusting(certs), name) == b"page"
        assert server.server_names == [indication]


@pytest.mark.parametrize(
    ("name", "subject", "check"),
    [
        ("a.test", "b.test", "doesn't match 'b.test'"),
        ("c.b.a.test", "*.a.test", "doesn't match"),
        ("a.test", "*.a.test", "doesn't match"),
        ("127.0.0.1", "127.0.0.2", "doesn't match '127.0.0.2'"),
        ("a.test", "127.0.0.1", "doesn't match '127.0.0.1'"),
    ],
)
def test_a_certificate_for_another_name_is_refused_and_nothing_sent(
    certs: Certs, name: str, subject: str, check: str
) -> None:
    with Downstream(page, context=certs.server(subject)) as server:
        with pytest.raises(TlsFailed, match=check):
            ask(server, trusting(certs), name)
        assert server.requests == []
        assert server.wire[0] == b""


def test_a_certificate_of_an_unknown_authority_is_refused(certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Certs(tmp_path / "other")
    with Downstream(page, context=other.server("a.test")) as server:
        with pytest.raises(TlsFailed, match="unable to get local issuer certificate"):
            ask(server, trusting(certs), "a.test")
        assert server.requests == []


def test_an_expired_certificate_is_refused(certs: Certs) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with Downstream(page, context=certs.server("a.test", until=yesterday)) as server:
        with pytest.raises(TlsFailed, match="certificate has expired"):
            ask(server, trusting(certs), "a.test")
        assert server.requests == []


def test_plain_text_in_the_place_of_tls_is_refused(certs: Certs) -> None:
    script = [Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Stall()]
    with (
        BadServer([script]) as server,
        pytest.raises(TlsFailed, match="wrong version number"),
    ):
        ask(server, trusting(certs), "a.test")


def test_an_end_within_the_handshake_is_a_lost_connection(certs: Certs) -> None:
    with Downstream(page) as server:
        with pytest.raises(ConnectFailed, match="within the TLS handshake"):
            ask(server, trusting(certs), "a.test")
        assert server.requests == []


def test_a_name_that_cannot_be_sent_is_refused(certs: Certs) -> None:
    with Downstream(page, context=certs.server("a.test")) as server:
        for name in (".test", "a" * 64 + ".test"):
            with pytest.raises(TlsFailed):
                ask(server, trusting(certs), name)
        assert server.requests == []


def test_a_common_name_alone_is_refused_unless_that_is_allowed(certs: Certs) -> None:
    with Downstream(page, context=certs.server(common_name="a.test")) as server:
        with pytest.raises(TlsFailed, match="no appropriate subjectAltName"):
            ask(server, trusting(certs), "a.test")
        assert server.requests == []
        assert ask(server, trusting(certs, allow_common_name=True), "a.test") == b"page"


def test_an_allowed_common_name_must_match_all_the_same(certs: Certs) -> None:
    with (
        Downstream(page, context=certs.server(common_name="b.test")) as server,
        pytest.raises(TlsFailed, match=r"b\.test"),
    ):
        ask(server, trusting(certs, allow_common_name=True), "a.test")


def test_without_validation_any_certificate_will_do(certs: Certs) -> None:
    with Downstream(page, context=certs.server("b.test")) as server:
        assert ask(server, TlsSettings(verify=False), "a.test") == b"page"
        assert ask(server, TlsSettings(verify=False), None) == b"page"
        assert server.server_names == ["a.test", None]


def test_the_client_shows_its_certificate(certs: Certs) -> None:
    chain, key = certs.files("client.test")
    settings = trusting(certs, auth=ClientAuth(str(chain), str(key)))
    with Downstream(page, context=certs.server("a.test", ask_for_client=True)) as server:
        assert ask(server, settings, "a.test") == b"page"
        server.requests.clear()
        with pytest.raises(TlsFailed, match="it demands a certificate of ours: see clientAuth"):
            ask(server, trusting(certs), "a.test")
        assert server.requests == []


def test_intermediate_certificates_are_sent_along(tmp_path: Path) -> None:
    root = trustme.CA()
    issued = root.create_child_ca().issue_cert("client.test")
    own, *rest = issued.cert_chain_pems
    files = {"own": own, "rest": rest[0], "key": issued.private_key_pem}
    for name, blob in files.items():
        blob.write_to_path(tmp_path / name)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    root.issue_cert("a.test").configure_cert(asking)
    root.configure_trust(asking)
    asking.verify_mode = ssl.CERT_REQUIRED
    auth = ClientAuth(*(str(tmp_path / name) for name in ("own", "key", "rest")))
    with Downstream(page, context=asking) as server:
        assert ask(server, TlsSettings(verify=False, auth=auth), "a.test") == b"page"


@pytest.mark.parametrize(
    ("protocols", "lowest", "highest"),
    [
        ((), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        (("TLSv1.3",), ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
        (("TLSv1.3", "TLSv1.2"), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
    ],
)
def test_versions(
    protocols: tuple[str, ...], lowest: ssl.TLSVersion, highest: ssl.TLSVersion
) -> None:
    made = context(TlsSettings(verify=False, protocols=protocols)).value
    assert (made.minimum_version, made.maximum_version) == (lowest, highest)


def test_a_server_that_is_too_old_is_refused(certs: Certs) -> None:
    old = certs.server("a.test")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        Downstream(page, context=old) as server,
        pytest.raises(TlsFailed, match=r"(?i)version"),
    ):
        ask(server, trusting(certs, protocols=("TLSv1.3",)), "a.test")


def test_the_authorities_of_the_system_are_those_of_ssl_cert_file(
    certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "watched_files", WatchedFiles())
    monkeypatch.setenv("SSL_CERT_FILE", str(certs.bundle))
    with Downstream(page, context=certs.server("a.test")) as server:
        assert ask(server, TlsSettings(), "a.test") == b"page"


def test_equal_settings_share_a_context_whatever_the_name(certs: Certs) -> None:
    assert context(trusting(certs)) is context(trusting(certs))
    assert context(trusting(certs)) is not context(trusting(certs, protocols=("TLSv1.3",)))


@pytest.mark.parametrize("kind", ["trust", "auth"])
def test_files_that_cannot_be_used_are_named(certs: Certs, tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    settings = (
        TlsSettings(trust=(str(bad),))
        if kind == "trust"
        else trusting(certs, auth=ClientAuth(str(bad), str(bad)))
    )
    with pytest.raises(TlsFailed, match=r"bad\.pem"):
        context(settings)


def test_a_strange_but_valid_chain_passes_on_every_python(certs: Certs) -> None:
    strict = getattr(ssl, "VERIFY_X509_STRICT", 0)
    assert not context(trusting(certs)).value.verify_flags & strict


@contextlib.contextmanager
def pool_to(serve: Callable[[socket.socket, object], None], certs: Certs) -> Iterator[EndpointPool]:
    """Give a pool that speaks TLS to a server that does *serve* with each connection."""
    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    pool = EndpointPool(
        Address("127.0.0.1", server.server_port),
        Transport(Limits(), 5.0, trusting(certs), "a.test"),
        ConnectStats(Tree()),
    )
    try:
        yield pool
    finally:
        pool.close()
        server.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_later_connection_resumes_the_session(certs: Certs, version: ssl.TLSVersion) -> None:
    serving, reused = certs.server("a.test"), list[bool]()
    serving.maximum_version = version

    def serve(sock: socket.socket, _: object) -> None:
        with serving.wrap_socket(sock, server_side=True) as wrapped:
            while wrapped.recv(65536):
                reused.append(wrapped.session_reused)
                wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with pool_to(serve, certs) as pool:
        pool.exchange(request(), monotonic() + 10)
        first = pool._idle.take()
        assert pool.exchange(request(), monotonic() + 10).status == 200
        first.close()
        pool.close_idle()
        assert pool.exchange(request(), monotonic() + 10).status == 200
        assert reused == [False, True, True]


def test_a_session_is_not_tried_again_after_a_failure(certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Certs(tmp_path / "other").server("a.test")
    contexts = iter([certs.server("a.test"), stranger, certs.server("a.test")])

    def serve(sock: socket.socket, _: object) -> None:
        with contextlib.suppress(OSError), next(contexts).wrap_socket(sock, server_side=True) as on:
            while on.recv(65536):
                on.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with pool_to(serve, certs) as pool:
        pool.exchange(request(), monotonic() + 10)
        pool.close_idle()
        with pytest.raises(TlsFailed):
            pool.exchange(request(), monotonic() + 10)
        assert pool.exchange(request(), monotonic() + 10).status == 200


def test_a_server_may_not_renegotiate(
    certs: Certs, renegotiates: tuple[int, "subprocess.Popen[bytes]"]
) -> None:
    port, server = renegotiates
    made = context(trusting(certs)).value
    secured = TlsSocket(dial(("127.0.0.1", port)), made, server_name="web.test")
    secured.shake_hands()
    stream = TlsStream(secured)
    assert server.stdin is not None
    server.stdin.write(b"R\nnever\n")
    server.stdin.flush()
    with pytest.raises(OSError, match=r"(?i)handshake"):  # the alert of a server that insists
        stream.receive(monotonic() + WAIT_S)
    stream.close()
