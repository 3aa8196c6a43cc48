"""The bench itself, on a small scale: what it computes, and that it runs."""

import os
import sys
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from meshproxy.config.load import load
from tests.bench import configs, console, fairness, growth, observed, report, rules, updates
from tests.bench.load import Measured, check, measure
from tests.bench.machine import cpu_s, family, memory_kib
from tests.bench.proxies import MESHPROXY, Proxy, Running
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.world import World
from tests.kit.chromium import needs_chromium
from tests.kit.daemons import find

RUNS = {
    ("small", "meshproxy"): [Measured(us, 100, 1, 2, 0) for us in (60, 90, 80)],
    ("small", "envoy"): [Measured(us, 100, 1, 2, 0) for us in (100, 100, 200)],
    ("small-c1", "meshproxy"): [Measured(1, 100, 3, 9, 0)],
    ("small-c1", "envoy"): [Measured(99, 100, 2, 9, 0)],
}


def test_a_ratio_is_the_median_of_those_inside_a_repetition() -> None:
    by_cpu, by_latency = report.verdicts(RUNS)
    assert (by_cpu.ratio, by_cpu.spread, by_cpu.text) == (0.6, (0.4, 0.9), "aim")
    assert (by_latency.ratio, by_latency.text) == (1.5, "missed")


def test_each_python_has_its_ratio() -> None:
    other = [Measured(us, 100, 1, 2, 0) for us in (50, 50, 50)]
    runs = {**RUNS, ("small", "meshproxy, Python 3.13.5"): other}
    found = {one.scenario: one.ratio for one in report.verdicts(runs)}
    assert found == {"small": 0.6, "small, Python 3.13.5": 0.5, "small-c1": 1.5}


def test_the_tables_go_between_the_markers_of_the_document(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("before\n{}\nold\n{}\nafter\n".format(*report.markers()))
    report.replace_between_markers(document, report.markdown(RUNS))
    text = document.read_text()
    assert "| small | envoy | 0.60 | 0.40 - 0.90 | 0.90 | 0.70 | aim |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    document.write_text("no markers")
    with pytest.raises(ValueError, match="has no"):
        report.replace_between_markers(document, "")


def test_the_chart_is_an_image_with_a_bar_for_each_goal() -> None:
    image = fromstring(report.chart(report.verdicts(RUNS)))  # noqa: S314 - our own text
    assert len(image.findall("{*}rect")) == 2


def test_a_process_is_told_by_its_family_time_and_memory() -> None:
    pids = family(os.getpid())
    assert os.getpid() in pids
    assert cpu_s(pids) > 0
    assert memory_kib([os.getpid()]) > 1000


def test_no_port_of_ours_is_taken_for_one_of_the_example(tmp_path: Path) -> None:
    world = World(tmp_path)
    for port in (4140, 41_400, 41_410, 9_990):
        assert f"- port: {port}\n" in configs.meshproxy(world, port, over_tls=False)


@pytest.mark.parametrize("what", growth.SERIES)
def test_every_configuration_of_the_bench_is_valid(tmp_path: Path, what: str) -> None:
    world = World(tmp_path)
    make, sizes = growth.SERIES[what]
    load(make(sizes[0])(world, 4140, False), what)
    load(configs.meshproxy(world, 4140, True), "tls")


@pytest.mark.skipif(not (find("wrk") and find("nginx")), reason="needs wrk and nginx")
def test_a_measurement_compares_bytes_and_counts(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        running = Running(MESHPROXY, world)
        try:
            check(running, world, SCENARIOS["post10k"])
            check(running, world, SCENARIOS["chunked"])
            measured = measure(running, world, Scenario(connections=2), 1)
        finally:
            running.stop()
    assert measured.errors == 0
    assert measured.cpu_us > 1
    assert measured.per_s > 1


def test_fairness_is_told_as_medians_of_the_repetitions() -> None:
    ms = [float(one) for one in range(1, 101)]
    runs = [
        fairness.Run(
            {"alone": 0.5, **dict.fromkeys(fairness.GREEDY, beside)},
            (fairness.Overload(800, 400, ms), fairness.Overload(1600, goodput, [4.0])),
        )
        for beside, goodput in ((1, 300), (1.25, 400), (9, 500))
    ]
    text = fairness.markdown(runs)
    assert text.count("| 1.25 ms, 2.50 times | 3 times | yes |") == 2
    assert "| median 50.00 ms, 99 % 99.00 ms, worst 100.00 ms | 99 % 10 ms | missed |" in text
    assert "| 400/s, then 400/s, 1.00 times | not lower | yes |" in text


@pytest.mark.skipif(not (find("wrk") and find("nginx")), reason="needs wrk and nginx")
def test_greedy_clients_and_overload_are_measured(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        run = fairness.compare(world, 1)
    assert run.polite_ms.keys() == {"alone", *fairness.GREEDY}
    assert all(ms > 0 for ms in run.polite_ms.values())
    for one in run.overloads:
        assert one.goodput_per_s > 0
        assert 0 < one.refused_ms(0.5) <= one.refused_ms(1)


@pytest.mark.skipif(not (find("wrk") and find("nginx")), reason="needs wrk and nginx")
def test_what_reports_cost_is_measured(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        found = observed.compare(world, 1)
        logged = (tmp_path / "access.log").read_bytes().count(b'"GET /small HTTP/1.1" 200')
    assert min(found) > 1
    assert logged > 10


def test_what_reports_cost_is_told_as_the_median_of_ratios() -> None:
    runs = [observed.Compared(10, on) for on in (12, 20, 11)]
    text = observed.markdown({"statsd": runs[:1], observed.ALL: runs})
    assert "| statsd | 1.20 | 1.20 - 1.20 |  |" in text
    assert "| all of it | 1.20 | 1.10 - 2.00 | 1.15 |" in text


def test_a_proxy_that_is_not_here_is_known_by_that() -> None:
    assert not Proxy(name="none", command=("no-such-proxy",)).is_here
    assert Proxy(name="python", command=(sys.executable,)).is_here


@pytest.mark.skipif(not find("nginx"), reason="needs nginx")
@pytest.mark.parametrize("kind", updates.KINDS)
def test_updates_are_measured(tmp_path: Path, kind: str) -> None:
    with World(tmp_path) as world:
        found = updates.measure_updates(world, kind, 1.5, endpoints=20)
    assert found.longest_ms > 0
    row = updates.markdown({kind: [found]}).splitlines()[-1]
    assert row.startswith(f"| {kind} | ")


@pytest.mark.parametrize("kind", rules.KINDS)
def test_the_cost_of_rules_is_measured(kind: str) -> None:
    spent = rules.measure_rules(kind, requests=50)
    row = rules.markdown({kind: [spent]}).splitlines()[-1]
    assert row == f"| {kind} | {spent:.2f} us | {rules.KINDS[kind]:g} us |"


@needs_chromium
def test_a_refresh_of_the_page_is_measured() -> None:
    found = console.measure_console(clients=200, refreshes=1)
    assert found.keys() == console.KINDS.keys()
    assert all(ms > 0 for (ms,) in found.values())
    assert "| all rows change | 12 ms | 30 ms | 100 ms |" in console.markdown(
        {"all rows change": [12, 30, 8]}
    )
