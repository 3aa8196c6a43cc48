"""No byte of anybody's can become a line of its own: of a header, a log, or a metric."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from meshproxy.config.errors import ConfigErrors
from tests.e2e.test_access_log import config as logging_to
from tests.e2e.test_access_log import lines
from tests.e2e.test_routing import config
from tests.kit.badserver import BadServer, Send, Until
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import KubeApi, service
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import WireClient, get

EVIL = re.compile(rb"[\r\n\0]X-Evil")
GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
CLEAN = re.compile(rb"(?:[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n").fullmatch


def raw_answer(proxy: Proxy, raw: bytes) -> bytes:
    """Send *raw* and return every byte of the answer, which ends the connection."""
    with WireClient(proxy.port()) as asking:
        asking.send(raw)
        asking.sock.shutdown(socket.SHUT_WR)
        return asking.read_to_end()


def is_clean(answer: bytes) -> bool:
    """The head is lines of text, and none of them is the injected one."""
    head, end, _ = answer.partition(b"\r\n\r\n")
    return CLEAN(head + end) is not None and not EVIL.search(answer)


@pytest.mark.parametrize("control", [b"\r", b"\n", b"\0", b"\x0b", b"\x7f"])
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK%bX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: 1%bX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A%bX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: /%bX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nl5d-err: a%bX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["reason", "value", "name", "location", "l5d-err"],
)
def test_controls_of_an_endpoint_never_reach_a_client(head: bytes, control: bytes) -> None:
    with (
        BadServer([[Until(), Send(head % control)]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
    ):
        answer = raw_answer(proxy, GET)
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert is_clean(answer)
        assert proxy.counts(client(endpoint.port), "failures/bad_response") == [1]


@pytest.mark.parametrize("control", [b"\r", b"\n", b"\0"])
def test_controls_in_trailers_never_reach_a_client(control: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = head + b"2\r\nok\r\n0\r\nX-A: 1%bX-Evil: 1\r\n\r\n"
    with (
        BadServer([[Until(), Send(body % control)]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
    ):
        assert not EVIL.search(raw_answer(proxy, GET))
        assert proxy.counts(client(endpoint.port), "cut_responses") == [1]


PATHS = [rb"\x0d\x0aX-Evil: 1", rb"\x00X-Evil", "\\x0aX-Evil\xe9".encode("latin-1")]


@pytest.mark.parametrize("element", PATHS)
@pytest.mark.parametrize("field", [b"l5d-dtab", b"l5d-ctx-dtab"])
def test_controls_written_in_a_dtab_stay_written(element: bytes, field: bytes) -> None:
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        target = b"/$/inet/127.0.0.1/%d/" % origin.port
        for path in (target + element, b"/svc/" + element, b"/$/nil/" + element):
            raw = GET[:-2] + field + b": /svc/web => " + path + b"\r\n\r\n"
            answer = raw_answer(proxy, raw)
            assert is_clean(answer), answer
        for received in origin.wire:
            assert not EVIL.search(bytes(received))


@pytest.mark.parametrize("control", [b"\r", b"\n", b"\0"])
def test_controls_in_a_dtab_are_no_request(control: bytes) -> None:
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        raw = GET[:-2] + b"l5d-dtab: /svc/web => /$/nil/" + control + b"X-Evil: 1\r\n\r\n"
        assert raw_answer(proxy, raw).startswith(b"HTTP/1.1 400 ")
        assert origin.requests == []
        assert proxy.counts(SERVER, "failures/bad_request") == [1]


@pytest.mark.parametrize("identifier", ["io.l5d.path", "io.l5d.methodAndHost", "io.l5d.header"])
def test_what_a_client_spells_in_a_target_or_host_stays_spelled(identifier: str) -> None:
    named = f"  identifier: {{kind: {identifier}}}"
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port, named)) as proxy:
        answer = raw_answer(
            proxy,
            b"GET /%0d%0aX-Evil:1%00/\xff HTTP/1.1\r\nHost: web\r\n"
            b"l5d-name: /\\x0d\\x0aX-Evil\r\n\r\n",
        )
        assert is_clean(answer), answer
        for received in origin.wire:
            assert not EVIL.search(bytes(received))


def test_a_host_name_from_kubernetes_is_only_a_name() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    evil = "evil\r\nX-Evil: 1"
    text = """
admin: {{ip: 127.0.0.1, port: 0}}
namers: [{{kind: io.l5d.k8s.external, host: 127.0.0.1, port: {port}, experimental: true}}]
routers:
- protocol: http
  dtab: /svc/web => /#/io.l5d.k8s.external/default/http/web
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
    with KubeApi() as api:
        api.apply(service("web", ports, ingress=[{"hostname": evil}]))
        with Proxy(text.format(port=api.port)) as proxy:
            answer = raw_answer(proxy, GET)
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert is_clean(answer), answer


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


LINE = re.compile(r"[A-Za-z0-9_.]+:-?[\d.]+\|(?:c|g|ms)(?:\|@[\d.]+)?").fullmatch


def test_a_name_of_a_client_s_is_one_line_to_statsd(collector: socket.socket) -> None:
    port = collector.getsockname()[1]
    kind = f"kind: io.l5d.statsd, experimental: true, port: {port}, gaugeIntervalMs: 10"
    named = "  identifier: {kind: io.l5d.path}"
    with Downstream(lambda _: b"x") as origin:
        with Proxy(f"telemetry: [{{{kind}}}]\n{config(origin.port, named)}") as proxy:
            get(proxy.port(), "web", "/a:1|c%0ab:1|c@\xe9")
        seen: set[str] = set()
        while not any("service.svc" in line for line in seen):
            seen |= set(collector.recv(65536).decode().splitlines())
    assert [line for line in seen if not LINE(line)] == []


def test_a_name_of_a_client_s_is_no_markup_on_an_admin_page() -> None:
    kinds = "{kind: io.l5d.recentRequests, sampleRate: 1.0}, {kind: io.l5d.prometheus}"
    named = "  identifier: {kind: io.l5d.path}"
    with (
        Downstream(lambda _: b"x") as origin,
        Proxy(f"telemetry: [{kinds}]\n{config(origin.port, named)}") as proxy,
    ):
        get(proxy.port(), "web", '/<script>"&\xe9')
        admin = proxy.linker.admin_port
        for page in get(admin, "localhost", "/admin/index.txt").body.decode().split():
            reply = get(admin, "localhost", page)
            if "html" in (reply.get("content-type") or ""):
                assert b"<script>" not in reply.body
            assert b'<script>"&' not in reply.body, page
        assert rb"/svc/\x3c\x73" in get(admin, "localhost", "/requests").body


def test_a_line_of_the_log_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    agent = 'User-Agent: "\\ \x80\xff\t" 200 5'
    with (
        Downstream(lambda _: Answer()) as origin,
        Proxy(logging_to(origin.port, path)) as proxy,
    ):
        get(proxy.port(), "web", "/\xe9\x85%0a", agent)
        (line,) = lines(path, 1)
    assert line.isascii()
    assert line.isprintable()
    assert line.count('"') == 6


@pytest.mark.parametrize(
    "keys",
    [
        r'servers: [{port: 0, timestampHeader: "X\r\nX-Evil"}]',
        r'servers: [{port: 0, addForwardedHeader: {by: {kind: static, label: "a\r\nX-Evil"}}}]',
        r'dstPrefix: "/svc\r\nX-Evil"',
        r'identifier: {kind: io.l5d.header, header: "X\r\nX-Evil"}',
        r'identifier: {kind: io.l5d.static, path: "a\r\nX-Evil"}',
        r'label: "a\r\nX-Evil"',
    ],
)
def test_controls_in_the_configuration_are_refused_or_stay_written(keys: str) -> None:
    text = "admin: {port: 0}\nrouters:\n- protocol: http\n  " + keys
    if "servers" not in keys:
        text += "\n  servers: [{port: 0}]"
    try:
        proxy = Proxy(text)
    except ConfigErrors:
        return
    with proxy:
        label = proxy.linker.routers[0].label
        with WireClient(proxy.port(label)) as asking:
            asking.send(GET)
            asking.sock.shutdown(socket.SHUT_WR)
            answer = asking.read_to_end()
            assert is_clean(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"), answer
            assert not answer.startswith(b"HTTP/1.1 500"), answer
