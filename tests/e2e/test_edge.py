"""What servers say to endpoints about their clients, and to clients about endpoints."""

import gzip
import ssl
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from gevent.event import Event

from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.proxy import Proxy
from tests.kit.wire import CutShort, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ; /svc/gone => /$/nil ;
  {router}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""
CERT = "x-forwarded-client-cert"
TEXT = "text/plain"


def config(port: int, server: str = "", router: str = "") -> str:
    return CONFIG.format(port=port, server=server, router=router)


def ok(_: Received) -> Answer:
    return Answer(body=b"x")


# --- Forwarded and the time of arrival ---


def test_endpoints_are_told_where_a_request_came_from() -> None:
    labels = "addForwardedHeader: {by: {kind: 'ip:port'}, for: {kind: ip}}, timestampHeader: X-At"
    with Downstream(ok) as origin, Proxy(config(origin.port, labels)) as proxy:
        get(proxy.port(), "a.test:80", "/", "Forwarded: for=_me")
        get(proxy.port(), "a.test", "http://b.test/")
    first, second = origin.requests
    by = f'by="127.0.0.1:{proxy.port()}";for=127.0.0.1'
    assert first.get_all("forwarded") == ["for=_me", f'{by};host="a.test:80"']
    assert second.get("forwarded") == f"{by};host=b.test;proto=http"
    assert (first.get("x-at") or "").isdigit()


def test_labels_are_random_by_default_and_stay_for_a_connection_if_asked() -> None:
    labels = "addForwardedHeader: {for: {kind: connectionRandom}}"
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, labels)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.get("a")
        client.get("a")
        get(proxy.port(), "a")
    pairs = [(one.get("forwarded") or "").split(";") for one in origin.requests]
    assert len({by for by, _, _ in pairs}) == 3
    first, second, other = (for_ for _, for_, _ in pairs)
    assert first == second != other


def test_nothing_is_told_unless_asked() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port)) as proxy:
        get(proxy.port(), "a")
    assert origin.requests[0].get("forwarded") is None


# --- certificates of clients ---


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


@pytest.fixture
def mutual(certs: Certs) -> str:
    chain, key = certs.files("proxy.test")
    return (
        f"tls: {{certPath: {chain}, keyPath: {key}, requireClientAuth: true, "
        f"caCertPath: {certs.bundle}}}, addForwardedHeader: {{for: {{kind: ip}}}}"
    )


def with_certificate(certs: Certs) -> tuple[ssl.SSLContext, str]:
    context = certs.client()
    chain, key = certs.files("client.test", common_name="client.test")
    context.load_cert_chain(chain, key)
    der = ssl.PEM_cert_to_DER_cert(chain.read_text().partition("-----END")[0] + _END)
    return context, sha256(der).hexdigest()


_END = "-----END CERTIFICATE-----\n"


def test_the_client_s_certificate_is_passed_on_where_it_is_wanted(
    certs: Certs, mutual: str
) -> None:
    wanted = "client: {kind: io.l5d.static, configs: [{prefix: /, forwardClientCert: true}]}"
    context, digest = with_certificate(certs)
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, mutual, wanted)) as proxy,
        WireClient(proxy.port(), context, "proxy.test") as client,
    ):
        assert client.get("a", "/", f"{CERT}: forged").status == 200
        assert client.get("a").status == 200
    for received in origin.requests:
        shown = received.get(CERT) or ""
        assert shown.startswith(f"Hash={digest};DNS=client.test;Subject=")
        assert "CN=client.test" in shown
        assert (received.get("forwarded") or "").endswith(";for=127.0.0.1;host=a;proto=https")


@pytest.mark.parametrize("forward", ["true", "false"])
def test_a_client_cannot_claim_a_certificate(forward: str) -> None:
    client = f"client: {{forwardClientCert: {forward}}}"
    with Downstream(ok) as origin, Proxy(config(origin.port, router=client)) as proxy:
        get(proxy.port(), "a", "/", f"{CERT}: Hash=0")
    assert origin.requests[0].get(CERT) is None


def test_a_certificate_is_not_passed_on_unasked(certs: Certs, mutual: str) -> None:
    context, _ = with_certificate(certs)
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, mutual)) as proxy,
        WireClient(proxy.port(), context, "proxy.test") as client,
    ):
        client.get("a")
    assert origin.requests[0].get(CERT) is None


def test_who_has_no_certificate_is_not_served(certs: Certs, mutual: str) -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port, mutual)) as proxy:
        with (
            pytest.raises((OSError, CutShort)),
            WireClient(proxy.port(), certs.client(), "proxy.test") as client,
        ):
            client.get("a")
        assert origin.requests == []


# --- compression ---


def text(_: Received) -> Answer:
    return Answer(body=b"word " * 100, headers=(("Content-Type", TEXT), ("ETag", '"1"')))


@pytest.mark.parametrize("router", ["", "compressionLevel: -1", "compressionLevel: 1"])
def test_a_text_is_compressed_for_who_takes_it(router: str) -> None:
    with Downstream(text) as origin, Proxy(config(origin.port, router=router)) as proxy:
        packed = get(proxy.port(), "a", "/", "Accept-Encoding: gzip")
        plain = get(proxy.port(), "a")
    assert gzip.decompress(packed.body) == plain.body == b"word " * 100
    assert (packed.get("content-encoding"), plain.get("content-encoding")) == ("gzip", None)
    assert (packed.get("etag"), plain.get("etag")) == ('W/"1"', '"1"')
    assert (packed.get("vary"), plain.get("vary")) == ("Accept-Encoding", None)
    assert packed.get("content-length") == str(len(packed.body))
    assert plain.get("content-length") == "500"


def test_head_is_as_get_without_its_body() -> None:
    with (
        Downstream(text) as origin,
        Proxy(config(origin.port, router="compressionLevel: 1")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        head = client.read(b"HEAD")
        assert client.get("a").status == 200
    assert (head.get("content-encoding"), head.get("etag")) == ("gzip", 'W/"1"')
    assert (head.get("content-length"), head.body) == (None, b"")


def test_nothing_is_compressed_once_that_is_off() -> None:
    with (
        Downstream(text) as origin,
        Proxy(config(origin.port, router="compressionLevel: 0")) as proxy,
    ):
        reply = get(proxy.port(), "a", "/", "Accept-Encoding: gzip")
    assert (reply.get("content-encoding"), reply.get("vary")) == (None, None)


def test_a_stream_stays_one() -> None:
    read_first = Event()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        assert read_first.wait(10)
        yield b"second"

    def stream(_: Received) -> Answer:
        return Answer(body=pieces(), headers=(("Content-Type", TEXT),))

    with (
        Downstream(stream) as origin,
        Proxy(config(origin.port, router="compressionLevel: 9")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        unpacker = zlib.decompressobj(31)
        head = received = b""
        while b"\r\n\r\n" not in head:
            head += client.sock.recv(65536)
        _, _, rest = head.partition(b"\r\n\r\n")
        received = unpacker.decompress(rest)
        while received != b"first":
            received += unpacker.decompress(client.sock.recv(65536))
        read_first.set()
        received += unpacker.decompress(client.read_to_end())
    assert received == b"firstsecond"
    assert unpacker.eof


# --- clearContext ---


def telling(_: Received) -> Answer:
    return Answer(body=b"x", headers=(("l5d-retryable", "true"), ("L5D-Anything", "1")))


def test_who_is_outside_the_mesh_neither_steers_nor_learns() -> None:
    with Downstream(telling) as origin, Proxy(config(origin.port, "clearContext: true")) as proxy:
        steering = ("l5d-dtab: /svc/a => /$/nil", "l5d-ctx-dtab: /svc/a => /$/nil")
        more = ("l5d-sample: 1", "L5D-Ctx-Other: 1", f"{CERT}: forged")
        reply = get(proxy.port(), "a", "/", *steering, *more)
        assert (reply.status, reply.body) == (200, b"x")
        assert [name for name, _ in reply.raw if name.lower().startswith(b"l5d-")] == []
        (received,) = origin.requests
        sent = {name.lower() for name, _ in received.raw}
        assert sent & {b"l5d-dtab", b"l5d-ctx-dtab", b"l5d-sample", b"l5d-ctx-other"} == set()
        assert CERT.encode() not in sent


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: gone\r\n\r\n", 502),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ],
)
def test_who_is_outside_the_mesh_is_not_told_why(request_line: bytes, status: int) -> None:
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, "clearContext: true")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(request_line)
        reply = client.read()
    assert (reply.status, reply.body, reply.get("content-length")) == (status, b"", "0")
    assert [name for name, _ in reply.raw if name.lower().startswith(b"l5d-")] == []
