"""Real collectors take what a proxy tells them, and each panel of the dashboards finds it there."""

import json
from collections import Counter
from collections.abc import Iterator
from random import Random

import gevent
import pytest

from tests.demo.dashboards import DIRECTORY, files
from tests.demo.graphite import drive
from tests.demo.panels import ROUTER, WINDOW, Panel, rows
from tests.demo.world import EXTERNAL, World
from tests.kit.daemons import find
from tests.kit.graphite import Graphite, missing
from tests.kit.prometheus import Prometheus

PANELS = [pytest.param(panel, id=panel.title) for row in rows() for panel in row.panels]
SERVICES = "stats.counters.linkerd.rt.outgoing.service.svc"


class Watched:
    """The article's world after some traffic, as graphite and Prometheus have seen it."""

    def __init__(self, graphite: Graphite, prometheus: Prometheus | None, port: int) -> None:
        self.graphite = graphite
        self.prometheus = prometheus
        self.sent: Counter[tuple[str, int]] = Counter()
        random = Random(1)
        for _ in range(5):
            self.sent += drive(port, 60, random)
            gevent.sleep(1)

    def requests(self, host: str) -> int:
        """Return how many requests to *host* were sent."""
        return sum(times for (name, _), times in self.sent.items() if name == host)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(f"not installed: {lacking}")
    with Graphite() as graphite, World(graphite.statsd_port) as world:
        if find("prometheus") is None:
            yield Watched(graphite, None, world.port)
            return
        with Prometheus(tmp_path_factory.mktemp("prometheus"), world.admin_port) as prometheus:
            yield Watched(graphite, prometheus, world.port)


def test_the_files_are_what_the_list_of_panels_makes_of_them() -> None:
    found = {file.name: file.read_text() for file in DIRECTORY.iterdir()}
    assert found == files(), "run: python -m tests.demo.dashboards"


def test_graphite_has_as_many_requests_as_were_sent(watched: Watched) -> None:
    for host, name in (("hello", "hello"), ("flaky", "flaky"), (EXTERNAL, "linkerd_io")):
        sent = watched.requests(host)
        assert sent > 20
        assert watched.graphite.wait(f"{SERVICES}.{name}.requests.count", sent) == sent
    hellos = watched.requests("hello")  # each of which asks for the world
    assert watched.graphite.wait(f"{SERVICES}.world.requests.count", hellos) == hellos
    fine = hellos + sum(times for (_, status), times in watched.sent.items() if status < 500)
    server = "stats.counters.linkerd.rt.outgoing.server.127_0_0_1.*"
    assert watched.graphite.wait(f"sumSeries({server}.success.count)", fine) == fine


def test_graphite_has_the_timings_and_the_gauges(watched: Watched) -> None:
    path = f"{SERVICES}.hello.request_latency_ms".replace("counters", "timers")
    sent = watched.requests("hello")
    assert watched.graphite.wait(f"{path}.count", sent * 0.9) == pytest.approx(sent, rel=0.1)
    (up,) = watched.graphite.series("stats.gauges.linkerd.process.up").values()
    assert set(up) == {1.0}


def test_prometheus_has_as_many_requests_as_were_sent(watched: Watched) -> None:
    prometheus = watched.prometheus
    if prometheus is None:
        pytest.skip("Debian's package prometheus is not installed")
    for host in ("hello", "flaky", EXTERNAL):
        query = f'sum(rt:service:requests{{rt="outgoing", service="svc/{host}"}})'
        ((_, value),) = (one["value"] for one in prometheus.wait(query))
        assert int(value) == watched.requests(host)
    assert (prometheus.target()["health"], prometheus.target()["lastError"]) == ("up", "")
    assert "WAL" in prometheus.output()
    assert "level=warn" not in prometheus.output()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_finds_something_in_prometheus(watched: Watched, panel: Panel) -> None:
    if watched.prometheus is None:
        pytest.skip("Debian's package prometheus is not installed")
    found = []
    for expression, _ in panel.prometheus:
        asked = expression.replace(WINDOW, "30s").replace(ROUTER, ".*")
        found += watched.prometheus.query(asked)
    assert found != []


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_finds_something_in_graphite(watched: Watched, panel: Panel) -> None:
    found = watched.graphite.series(*panel.graphite)
    assert [name for name, points in found.items() if points] != []
    drawn = watched.graphite.picture(*panel.graphite)
    assert drawn.startswith(b"\x89PNG")


def test_graphite_keeps_the_dashboard(watched: Watched) -> None:
    state = json.loads((DIRECTORY / "graphite.json").read_text())
    watched.graphite.save_dashboard("meshproxy", state)
    assert watched.graphite.dashboard("meshproxy")["graphs"] == state["graphs"]
