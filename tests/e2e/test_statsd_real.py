"""The statsd of npm adds up what we send: `npm install statsd`, here or globally, to run this."""

import os
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import pytest

from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.statsd import Statsd, StatsdConfig
from tests.kit.k8s import wait_until

ROOT = Path(__file__).parent.parent.parent
CONFIG = """{
  address: "127.0.0.1", port: %d, mgmt_address: "127.0.0.1", mgmt_port: %d,
  flushInterval: 100, deleteIdleStats: true, backends: ["./backends/graphite"],
  graphiteHost: "127.0.0.1", graphitePort: %d, graphite: {legacyNamespace: false}
}"""


def script() -> str | None:
    """Return where npm's statsd is, if it and node are installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    everywhere = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
    found = subprocess.run(
        [node, "-p", "require.resolve('statsd/stats.js')"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ
        | {"NODE_PATH": f"{os.environ.get('NODE_PATH', '')}:{everywhere.stdout.strip()}"},
    )
    return found.stdout.strip() if found.returncode == 0 else None


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that was free a moment ago: statsd cannot choose one itself."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def can_connect(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


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
    stats_js = script()
    if stats_js is None:
        pytest.skip("the npm package statsd is not installed")
    port, control = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    config = tmp_path / "statsd.js"
    config.write_text(CONFIG % (port, control, graphite.port))
    with subprocess.Popen(["node", stats_js, str(config)], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: can_connect(control))
            yield port
        finally:
            process.terminate()


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
