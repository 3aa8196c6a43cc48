"""The latest requests through a real proxy: what is kept, and told as it happens."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, dial, free_port, get

CONFIG = """
admin: {{port: 0}}
routers:
- protocol: http
  dtab: {dtab}
  servers: [{{port: 0}}]
  {more}
"""


def proxy(dtab: str, more: str = "") -> Proxy:
    return Proxy(CONFIG.format(dtab=dtab, more=more))


def kept(proxy: Proxy, query: str = "") -> list[dict[str, Any]]:
    reply = get(proxy.linker.admin_port, "localhost", f"/requests.json{query}")
    assert reply.status == 200
    found: list[dict[str, Any]] = json.loads(reply.body)["requests"]
    return found


def served(_: Received) -> bytes:
    return b"served"


def broken(_: Received) -> Answer:
    return Answer(503, b"bad")


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


def test_a_request_is_kept_with_its_names_and_its_times() -> None:
    with Downstream(served) as origin, proxy(f"/svc => /$/inet/127.0.0.1/{origin.port}") as one:
        get(one.port(), "web", "/a?b=c")
        get(one.port(), "web", "/second")
        second, first = kept(one)
    assert (first["status"], first["failed"], first["attempts"]) == (200, False, 1)
    assert (first["method"], first["host"], first["path"]) == ("GET", "web", "/a")
    assert first["logical"] == "/svc/web"
    assert first["bound"] == f"/$/inet/127.0.0.1/{origin.port}"
    assert first["endpoint"] == f"127.0.0.1:{origin.port}"
    assert len(first["trace"]) == 16
    assert first["phases"].keys() == {"connect", "wait", "body"}
    assert second["phases"].keys() == {"wait", "body"}


def test_a_failure_says_where_it_failed_and_each_attempt_is_a_lane() -> None:
    port = free_port()
    dtab = f"/svc/refused => /$/inet/127.0.0.1/{port}; /svc/bad => /$/inet/127.0.0.1/{{}}"
    retried = (
        "service: {responseClassifier: {kind: io.l5d.http.retryableRead5XX}, retries: {backoff: "
        "{kind: constant, ms: 0}}}"
    )
    with Downstream(broken) as origin, proxy(dtab.format(origin.port), retried) as one:
        get(one.port(), "refused")
        get(one.port(), "bad")
        get(one.port(), "nowhere")
        nowhere, bad, refused = kept(one, "?failed=1")
    assert (refused["status"], refused["reason"]) == (502, "connect")
    assert refused["endpoint"] == f"127.0.0.1:{port}"
    assert (nowhere["reason"], nowhere["bound"]) == ("no_hosts", None)
    assert (bad["status"], bad["reason"]) == (503, "endpoint")
    assert bad["attempts"] == len(bad["lanes"]) == 6
    assert [lane["result"] for lane in bad["lanes"]] == ["503"] * 6
    assert all(lane["from_ms"] <= lane["to_ms"] for lane in bad["lanes"])


def test_the_times_of_tls_and_of_the_queue_are_told_apart(certs: Certs) -> None:
    more = (
        f"client: {{tls: {{commonName: web.test, trustCerts: [{certs.bundle}]}}, "
        "hostConnectionPool: {maxSize: 1}}"
    )
    with (
        Downstream(served, context=certs.server("web.test")) as origin,
        proxy(f"/svc => /$/inet/127.0.0.1/{origin.port}", more) as one,
    ):
        get(one.port(), "web")
        (found,) = kept(one)
    assert found["phases"].keys() == {"queue", "connect", "tls", "wait", "body"}
    assert found["phases"]["tls"] > 0


def test_a_body_that_is_cut_short_is_a_failure() -> None:
    def cut() -> Iterator[bytes]:
        yield b"short"
        raise OSError

    with (
        Downstream(lambda _: Answer(200, cut())) as origin,
        proxy(f"/svc => /$/inet/127.0.0.1/{origin.port}") as one,
    ):
        with WireClient(one.port()) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            client.read_to_end()
        wait_until(lambda: [each["reason"] for each in kept(one)] == ["cut"])


def test_hostile_names_cannot_break_out_of_the_table() -> None:
    with proxy("/nowhere => !") as one:
        get(one.port(), "a", "/<script>alert(1)</script>")
        page = get(one.linker.admin_port, "localhost", "/requests").body
    assert b"<script>alert" not in page
    assert b"&lt;script&gt;alert" in page


def read_lines(sock: socket.socket, count: int) -> list[dict[str, Any]]:
    """Read *count* lines that are not empty from a chunked response."""
    data, found = b"", []
    while len(found) < count:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
        found = [json.loads(line) for line in data.splitlines() if line.startswith(b"{")]
    return found


@pytest.mark.parametrize("query", ["&status=5xx", "&name=/svc/web"])
def test_requests_are_told_as_they_end(query: str) -> None:
    with Downstream(broken) as origin, proxy(f"/svc => /$/inet/127.0.0.1/{origin.port}") as one:
        with dial(("127.0.0.1", one.linker.admin_port)) as sock:
            sock.settimeout(10)
            sock.sendall(f"GET /tap?seconds=30{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK")
            get(one.port(), "web", "/told")
            (told,) = read_lines(sock, 1)
            assert (told["path"], told["status"]) == ("/told", 503)
            assert one.metrics()["tap/readers"] == 1
        get(one.port(), "web")
        one.wait_count("tap", "readers", 0)


def test_the_response_names_the_entry_or_the_namer_that_ended_the_way(tmp_path: Path) -> None:
    dtab = "/fs => /#/io.l5d.fs ; /svc => /fs ; /svc/no => !"
    namer = f"namers: [{{kind: io.l5d.fs, rootDir: {tmp_path}}}]"
    with Proxy(CONFIG.format(dtab=dtab, more="") + namer) as one:
        unknown = get(one.port(), "other").body.decode()
        refused = get(one.port(), "no").body.decode()
    assert unknown.endswith(
        "\n  /#/io.l5d.fs/other (/fs => /#/io.l5d.fs, test.yaml:5:9): "
        "/#/io.l5d.fs says: no such name\n"
    )
    assert "\n  /svc/no (/svc/no => !, test.yaml:5:45): ended by !\n" in refused
    assert "no such name" not in refused


def test_the_access_log_has_names_reason_trace_and_times(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    more = f"httpAccessLog: {log}\n  httpAccessLogFormat: json"
    with Downstream(broken) as origin:
        dtab = f"/h => /$/inet/127.0.0.1/{origin.port} ; /svc => /h"
        with proxy(dtab, more) as one:
            assert get(one.port(), "web").status == 503
        (line,) = map(json.loads, log.read_text().splitlines())
        assert line["names"] == [
            "/svc/web",
            "/h/web",
            f"/$/inet/127.0.0.1/{origin.port}/web",
            f"/$/inet/127.0.0.1/{origin.port}",
        ]
    assert (line["reason"], line["decision"]) == ("endpoint", None)
    assert len(line["trace"]) == 16
    assert line["phases_ms"].keys() == {"connect", "wait", "body"}
    assert sum(line["phases_ms"].values()) == pytest.approx(line["duration_ms"], abs=0.01)
