"""From a configuration to real servers and back: what a user sees and an origin gets."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: |
    /svc/* => /$/inet/127.0.0.1/{port} ;
{more}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""


def config(port: int, more: str = "") -> str:
    """Return a router that sends every name to *port*, with *more* router keys."""
    return CONFIG.format(port=port, more=more)


def echo(request: Received) -> Answer:
    return Answer(body=request.body, headers=(("X-Method", request.method),))


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(echo) as server:
        yield server


@pytest.fixture
def proxy(origin: Downstream) -> Iterator[Proxy]:
    with Proxy(config(origin.port)) as running:
        yield running


def exchange(proxy: Proxy, raw: bytes, method: bytes = b"GET") -> Reply:
    """Send *raw* on a connection of its own and read one answer."""
    with WireClient(proxy.port()) as client:
        client.send(raw)
        return client.read(method)


def test_a_request_arrives_as_it_was_sent(proxy: Proxy, origin: Downstream) -> None:
    target = "/a//b/../c%2f?q=%zz"
    get(proxy.port(), "Web", target, "X-Odd_Name: \xe9", "X-Two: 1", "X-Two: 2", "Cookie: a")
    request = origin.requests[0]
    assert (request.method, request.target, request.version) == ("GET", target, "1.1")
    assert (request.get("host"), request.get("x-odd_name")) == ("Web", "\xe9")
    assert request.get_all("x-two") == ["1", "2"]
    assert (b"X-Odd_Name", b"\xe9") in request.raw


def test_the_mesh_adds_its_headers(proxy: Proxy, origin: Downstream) -> None:
    get(proxy.port(), "web", "/", "l5d-dst-service: forged", "Via: 1.1 before")
    request = origin.requests[0]
    assert request.get("l5d-dst-service") == "/svc/web"
    assert request.get("l5d-dst-client") == f"/$/inet/127.0.0.1/{origin.port}"
    assert request.get("via") == "1.1 before, 1.1 linkerd"
    assert request.get("l5d-reqid")


def test_hop_by_hop_fields_stay_behind(proxy: Proxy, origin: Downstream) -> None:
    fields = ("Connection: X-Mine, Host", "X-Mine: 1", "Keep-Alive: 5", "TE: gzip", "X-Kept: 1")
    get(proxy.port(), "web", "/", *fields)
    request = origin.requests[0]
    gone = ("x-mine", "keep-alive", "te", "connection", "proxy-connection", "upgrade")
    assert [request.get(name) for name in gone] == [None] * len(gone)
    assert (request.get("x-kept"), request.get("host")) == ("1", "web")


def test_connections_are_kept_on_both_sides(proxy: Proxy, origin: Downstream) -> None:
    with WireClient(proxy.port()) as client:
        assert [client.get("web").status for _ in range(5)] == [200] * 5
    assert {request.connection for request in origin.requests} == {0}


def test_pipelined_requests_are_answered_in_order(proxy: Proxy) -> None:
    raw = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\n\r\n%d" % (n, n) for n in range(5)
    )
    with WireClient(proxy.port()) as client:
        client.send(raw)
        assert [client.read(b"POST").body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_pass_whole_in_both_directions(proxy: Proxy, size: int, *, chunked: bool) -> None:
    body = b"0123456789abcdef" * (size // 16) + b"x" * (size % 16)
    if chunked:
        framing, sent = "Transfer-Encoding: chunked", b"0\r\n\r\n"
        sent = (b"%x\r\n%b\r\n" % (size, body) if size else b"") + sent
    else:
        framing, sent = f"Content-Length: {size}", body
    head = f"POST / HTTP/1.1\r\nHost: web\r\n{framing}\r\n\r\n".encode()
    reply = exchange(proxy, head + sent, b"POST")
    assert (reply.status, reply.body) == (200, body)


def test_a_chunked_answer_keeps_its_trailers_and_its_encoding() -> None:
    packed = gzip.compress(b"hello" * 100)
    fields = (("Content-Encoding", "gzip"),)
    answer = Answer(body=[packed[:9], packed[9:]], headers=fields, trailers=(("X-Sum", "7"),))
    with Downstream(lambda _: answer) as origin, Proxy(config(origin.port)) as proxy:
        reply = get(proxy.port(), "web")
    assert (reply.body, reply.get("content-encoding")) == (packed, "gzip")
    assert reply.trailers == [(b"x-sum", b"7")]


def test_head_and_empty_answers_have_no_body(proxy: Proxy, origin: Downstream) -> None:
    with WireClient(proxy.port()) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: web\r\n\r\n")
        assert client.read(b"HEAD").status == 200
        assert client.get("web").status == 200
    assert [request.method for request in origin.requests] == ["HEAD", "GET"]


def test_an_old_client_is_served_and_its_connection_closed(
    proxy: Proxy, origin: Downstream
) -> None:
    with WireClient(proxy.port()) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")
        assert client.read_to_end().startswith(b"HTTP/1.")
    assert origin.requests[0].get("via") == "1.0 linkerd"


def test_an_absolute_target_wins_over_host(proxy: Proxy, origin: Downstream) -> None:
    exchange(proxy, b"GET http://web.test:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n")
    request = origin.requests[0]
    assert (request.target, request.get("host")) == ("/p?q", "web.test:81")
    assert request.get("l5d-dst-service") == "/svc/web.test:81"


def test_an_expected_100_comes_before_the_body(proxy: Proxy) -> None:
    with WireClient(proxy.port()) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert client.sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.send(b"ok")
        assert client.read(b"POST").body == b"ok"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, id="a host with a slash"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="two spaces"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400, id="space before colon"),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            id="both framings",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n1", 400, id="a signed length"
        ),
        pytest.param(b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="long line"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, id="long fields"
        ),
        pytest.param(
            b"CONNECT a:22 HTTP/1.1\r\nHost: a:22\r\n\r\n", 403, id="connect to a closed port"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nl5d-dtab: /a =>\r\n\r\n", 400, id="bad override"
        ),
    ],
)
def test_a_bad_request_is_refused_and_reaches_nobody(
    proxy: Proxy, origin: Downstream, raw: bytes, status: int
) -> None:
    reply = exchange(proxy, raw, raw.partition(b" ")[0])
    assert (reply.status, reply.version) == (status, b"1.1")
    assert reply.get("l5d-err")
    assert origin.wire == []


def test_an_override_counts_for_one_request_only(proxy: Proxy, origin: Downstream) -> None:
    with Downstream(lambda _: b"other") as other, WireClient(proxy.port()) as client:
        override = f"l5d-dtab: /svc/web => /$/inet/127.0.0.1/{other.port}"
        assert client.get("web", "/", override).body == b"other"
        assert client.get("web").body == b""
        assert other.requests[0].get("l5d-dtab") is None
        assert "=>" in (other.requests[0].get("l5d-ctx-dtab") or "")
    assert origin.requests[0].get("l5d-ctx-dtab") is None


def test_a_name_that_leads_nowhere_is_explained() -> None:
    with Proxy(config(1).replace("/svc/*", "/svc/web")) as proxy:
        reply = get(proxy.port(), "unknown")
    assert reply.status == 502
    assert b"/svc/unknown" in reply.body
    assert reply.get("l5d-err")


def test_files_name_endpoints_and_their_change_is_followed(tmp_path: Path) -> None:
    text = config(0).replace("/svc/* => /$/inet/127.0.0.1/0", "/svc => /#/io.l5d.fs")
    text += f"namers: [{{kind: io.l5d.fs, rootDir: {tmp_path}}}]\n"
    with Downstream(lambda _: b"1") as one, Downstream(lambda _: b"2") as two:
        (tmp_path / "web").write_text(f"127.0.0.1 {one.port}\n")
        with Proxy(text) as proxy:
            assert get(proxy.port(), "web").body == b"1"
            (tmp_path / "web").write_text(f"127.0.0.1 {two.port}\n")
            wait_until(lambda: get(proxy.port(), "web").body == b"2")


def test_a_read_answered_with_5xx_is_sent_again() -> None:
    statuses = iter([503, 500, 200])
    more = "  service: {responseClassifier: {kind: io.l5d.http.retryableRead5XX}}"
    with (
        Downstream(lambda _: Answer(next(statuses))) as origin,
        Proxy(config(origin.port, more)) as proxy,
    ):
        assert get(proxy.port(), "web").status == 200
        assert len(origin.requests) == 3


def test_a_write_answered_with_5xx_is_not_sent_again() -> None:
    more = "  service: {responseClassifier: {kind: io.l5d.http.retryableRead5XX}}"
    with (
        Downstream(lambda _: Answer(500)) as origin,
        Proxy(config(origin.port, more)) as proxy,
    ):
        raw = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\n\r\nx"
        assert exchange(proxy, raw, b"POST").status == 500
        assert len(origin.requests) == 1


def test_an_endpoint_is_spoken_to_over_tls_by_its_name(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    tls = f"  client: {{tls: {{commonName: web.test, trustCertsBundle: {certs.bundle}}}}}"
    origin = Downstream(echo, context=certs.server("web.test"))
    with origin, Proxy(config(origin.port, tls)) as proxy:
        assert get(proxy.port(), "web").status == 200
        assert origin.server_names == ["web.test"]


def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    tls = f"  client: {{tls: {{commonName: web.test, trustCertsBundle: {certs.bundle}}}}}"
    origin = Downstream(echo, context=certs.server("other.test"))
    with origin, Proxy(config(origin.port, tls)) as proxy:
        reply = get(proxy.port(), "web")
        assert reply.status == 502
        assert "TLS+to+web.test" in (reply.get("l5d-err") or "")
        assert origin.requests == []


def test_a_server_speaks_tls(tmp_path: Path, origin: Downstream) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("proxy.test")
    tls = f"{{port: 0, ip: 127.0.0.1, tls: {{certPath: {chain}, keyPath: {key}}}}}"
    text = config(origin.port).replace("{port: 0, ip: 127.0.0.1}\n", f"{tls}\n")
    text = text.replace(f"admin: {tls}", "admin: {ip: 127.0.0.1, port: 0}")
    with (
        Proxy(text) as proxy,
        WireClient(proxy.port(), certs.client(), "proxy.test") as client,
    ):
        assert client.get("web").status == 200


def test_requests_are_counted_under_linkerds_names(proxy: Proxy, origin: Downstream) -> None:
    for _ in range(3):
        get(proxy.port(), "web")
    metrics = proxy.metrics()
    client = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
    assert metrics["rt/http/service/svc/web/requests"] == 3
    assert metrics[f"{client}/requests"] == 3
    assert metrics[f"{client}/status/200"] == 3
