"""The statsd of npm adds up what we send: `npm install statsd`, here or globally, to run this."""

import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import pytest

from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.statsd import Statsd, StatsdConfig
from tests.kit import graphite as kit
from tests.kit.k8s import wait_until


@dataclass
class Graphite:
    """What statsd flushed: the sum of the values of each name, and the last of them."""

    port: int
    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    last: dict[str, float] = field(default_factory=dict)

    def read(self, server: socket.socket) -> None:
        while True:
            with server.accept()[0] as sock, sock.makefile() as lines:
                for line in lines:
                    name, value, _ = line.split()
                    self.sums[name] += float(value)
                    self.last[name] = float(value)


@pytest.fixture
def graphite() -> Iterator[Graphite]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Graphite(server.getsockname()[1])
        reading = gevent.spawn(found.read, server)
        yield found
        reading.kill()


@pytest.fixture
def statsd_port(graphite: Graphite, tmp_path: Path) -> Iterator[int]:
    if kit.statsd_script() is None:
        pytest.skip("the npm package statsd is not installed")
    with kit.Statsd(tmp_path, graphite.port, flush_ms=100) as statsd:
        yield statsd.port


def test_a_real_statsd_adds_up_what_was_counted(graphite: Graphite, statsd_port: int) -> None:
    tree = Tree()
    client = tree.scope("rt", "out", "client", "$/inet/127.0.0.1/80")
    requests, latency = client.counter("requests"), client.stat("request_latency_ms")
    client.gauge("pending").value = 2.5
    tree.gauge("below").value = -3
    config = StatsdConfig(port=statsd_port, sample_rate=1.0, gauge_interval_ms=50)
    statsd = Statsd(config, tree)
    statsd.start()
    name = "linkerd.rt.out.client._.inet.127_0_0_1.80"
    for told in range(0, 1000, 200):
        wait_until(lambda told=told: graphite.sums[f"stats.counters.{name}.requests.count"] >= told)
        requests.value += 200
        for value in range(1000):
            latency.add(value)
    statsd.close()

    wait_until(lambda: graphite.sums[f"stats.counters.{name}.requests.count"] >= 1000)
    wait_until(lambda: graphite.sums[f"stats.timers.{name}.request_latency_ms.count"] > 4999)
    assert graphite.sums[f"stats.counters.{name}.requests.count"] == 1000
    counted = graphite.sums[f"stats.timers.{name}.request_latency_ms.count"]
    assert counted == pytest.approx(5000, rel=0.001)
    assert graphite.last[f"stats.gauges.{name}.pending"] == 2.5
    assert graphite.last["stats.gauges.linkerd.below"] == -3
    assert graphite.sums["stats.counters.statsd.bad_lines_seen.count"] == 0
    assert tree.counter("telemeter", "statsd", "dropped").value == 0
