"""Every exporter tells as many requests as were sent, whatever happens to the proxy meanwhile."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_protocol_parser import parse_line

from tests.e2e.test_command import Serving
from tests.e2e.test_routing import config
from tests.e2e.test_workers import pids, variant, with_workers
from tests.kit.daemons import START_S
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import wait_until
from tests.kit.statsd import Collector
from tests.kit.wire import get

TELEMETRY = """
telemetry:
- {{kind: io.l5d.prometheus}}
- {{kind: io.l5d.influxdb}}
- {{kind: io.l5d.statsd, experimental: true, port: {statsd}}}
- {{kind: io.l5d.zipkin, host: 127.0.0.1, port: {spans}, sampleRate: 1.0}}
- {{kind: io.l5d.otlp, endpoint: "http://127.0.0.1:{spans}/otlp", sampleRate: 1.0}}
"""
SENT = 20


@pytest.fixture
def spans() -> Iterator[Downstream]:
    with Downstream(lambda _: Answer(202)) as collector:
        yield collector


def traced(spans: Downstream) -> tuple[int, int]:
    """Return how many spans of the server Zipkin and OpenTelemetry were told of."""
    zipkin = otlp = 0
    for post in spans.requests:
        found = json.loads(post.body)
        if post.target == "/otlp":
            scopes = (each for one in found["resourceSpans"] for each in one["scopeSpans"])
            otlp += sum(span["kind"] == 2 for one in scopes for span in one["spans"])
        else:
            zipkin += sum(span["kind"] == "SERVER" for span in found)
    return zipkin, otlp


def scraped(serving: Serving) -> tuple[int, int]:
    """Return how many requests of the server Prometheus and InfluxDB are shown."""
    shown = get(serving.admin_port, "localhost", "/admin/metrics/prometheus").body.decode()
    (line,) = (one for one in shown.splitlines() if one.startswith("rt:server:requests{"))
    points = get(serving.admin_port, "localhost", "/admin/metrics/influxdb").body.decode()
    (point,) = (
        one for one in map(parse_line, points.splitlines()) if one["measurement"] == "rt:server"
    )
    return int(line.rpartition(" ")[2]), int(point["fields"]["requests"])


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_all_figures_are_the_requests_sent(workers: int, tmp_path: Path, spans: Downstream) -> None:
    with Collector() as statsd, Downstream(lambda _: b"served") as origin:
        telemetry = TELEMETRY.format(statsd=statsd.port, spans=spans.port)
        text = config(origin.port) + telemetry
        serving = Serving(with_workers(text, workers) if workers else text, tmp_path)
        written = serving.file.read_text()
        port = serving.port if workers else 0  # the one in the file, or what all workers listen on
        name = f"linkerd.rt.http.server.127_0_0_1.{port}.requests"
        sent = 0

        def send() -> None:
            nonlocal sent
            for _ in range(SENT):
                assert get(serving.port, "web").status == 200
                sent += 1
            wait_until(lambda: statsd.count(name) == sent, START_S)
            wait_until(lambda: traced(spans) == (sent, sent), START_S)
            assert scraped(serving) == (sent, sent)

        with serving.daemon:
            send()
            serving.reload(variant(written, 1))
            send()
            if workers:
                victim = pids(serving)[0]
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda: victim not in pids(serving), START_S)
                wait_until(lambda: serving.metrics()["workers/serving"] == workers, START_S)
                send()
            assert serving.daemon.stop() == 0
        assert len(origin.requests) == sent
        assert statsd.count(name) == sent
        assert traced(spans) == (sent, sent)
