"""What the admin server exports is what happened, and other programs read it without complaint."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from line_protocol_parser import parse_line

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
telemetry: [{{kind: io.l5d.prometheus}}, {{kind: io.l5d.influxdb}}]
routers:
- protocol: http
  identifier: [{{kind: io.l5d.header.token, header: named}}, {{kind: io.l5d.header.token}}]
  dtab: /svc => /$/inet/127.0.0.1/{port}
  servers: [{{port: 0, ip: 127.0.0.1, maxConcurrentRequests: 9}}]
"""
HOSTILE = ("a\\", 'a"} 1', "a=b,c d", "\xe9\x80", "\\", "{}", "..", "#", "a:b|c@d", "%s", "a\tb")


def answer(request: Received) -> Answer:
    """Fail if asked to, else answer with as many bytes as the target says."""
    if request.target == "/fail":
        return Answer(status=500)
    return Answer(body=b"x" * int(request.target[1:] or 0))


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(answer) as downstream:
        yield downstream


@pytest.fixture
def proxy(origin: Downstream) -> Iterator[Proxy]:
    with Proxy(CONFIG.format(port=origin.port)) as started:
        yield started


def traffic(proxy: Proxy) -> None:
    """Send requests that succeed, fail, and have names made to break a page."""
    for target in ("/0", "/10", "/fail"):
        get(proxy.port(), "web", target)
    for name in HOSTILE:
        get(proxy.port(), "web", "/", f"named: {name}")


def page(proxy: Proxy, path: str, host: str = "localhost") -> str:
    reply = get(proxy.linker.admin_port, host, path)
    assert reply.status == 200
    return reply.body.decode()


def test_every_value_is_a_number(proxy: Proxy) -> None:
    traffic(proxy)
    found = json.loads(page(proxy, "/admin/metrics.json"))
    assert len(found) > 100
    assert {type(value) for value in found.values()} <= {int, float}


def test_prometheus_reads_every_line(proxy: Proxy) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool of Debian's package prometheus is not installed")
    traffic(proxy)
    shown = page(proxy, "/admin/metrics/prometheus")
    assert "rt:server:request_latency_ms_distribution_bucket" in shown
    done = subprocess.run(
        [promtool, "check", "metrics"], input=shown, text=True, capture_output=True, check=False
    )
    complaints = done.stdout + done.stderr
    style = (
        "metric names should not contain ':'",
        'counter metrics should have "_total" suffix',
        "no help text",
        "should be written in 'snake_case'",
        "metric names should not contain abbreviated units",
        'use base unit "',
    )  # Linkerd's names
    assert [one for one in complaints.splitlines() if not any(each in one for each in style)] == []


def test_influxdb_reads_every_line(proxy: Proxy) -> None:
    traffic(proxy)
    lines = page(proxy, "/admin/metrics/influxdb", "127.0.0.1").splitlines()
    points = [parse_line(line) for line in lines]
    assert {point["tags"]["host"] for point in points} == {"127.0.0.1"}
    (served,) = (point for point in points if point["measurement"] == "rt:server")
    assert served["tags"] == {"host": "127.0.0.1", "rt": "http", "server": "127.0.0.1/0"}
    assert served["fields"]["requests"] == 3 + len(HOSTILE)
    assert served["fields"]["request_latency_ms_count"] == 3 + len(HOSTILE)


def test_bytes_are_those_of_the_wire(proxy: Proxy, origin: Downstream) -> None:
    with WireClient(proxy.port()) as wire:
        received = 0
        for size in (0, 10, 300_000):
            reply = wire.get("web", f"/{size}")
            assert len(reply.body) == size
            received += size
        wait_until(lambda: proxy.counts(SERVER, "sent_bytes")[0] > received)
        there, back = proxy.counts(SERVER, "received_bytes", "sent_bytes")
        out, home = proxy.counts(client(origin.port), "sent_bytes", "received_bytes")
    assert received < back < received + 1000
    assert received < home < received + 1000
    assert 0 < there < out
    proxy.wait_count(SERVER, "closes", 1)
    assert proxy.counts(SERVER, "received_bytes", "sent_bytes") == [there, back]


def test_attempts_are_counted_by_endpoint_where_that_is_asked_for(origin: Downstream) -> None:
    text = CONFIG.format(port=origin.port)
    text += "  client: {endpointStats: true}\n"
    with Proxy(text) as proxy:
        for target in ("/1", "/2", "/fail"):
            get(proxy.port(), "web", target)
        scope = f"{client(origin.port)}/endpoint/127.0.0.1:{origin.port}"
        names = ("requests", "success", "failures", "pending")
        assert proxy.counts(scope, *names) == [3, 2, 1, 0]
        shown = page(proxy, "/admin/metrics/prometheus")
        labels = f'rt="http", client="$/inet/127.0.0.1/{origin.port}"'
        line = f'rt:client:endpoint:requests{{{labels}, endpoint="127.0.0.1:{origin.port}"}} 3'
        assert line in shown


def test_streams_are_opened_and_closed(proxy: Proxy) -> None:
    get(proxy.port(), "web", "/10")
    get(proxy.port(), "web", "/300000")
    names = [f"stream/response/{name}" for name in ("opened", "closed", "pending")]
    assert proxy.counts(SERVER, *names) == [1, 1, 0]
