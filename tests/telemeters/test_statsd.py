import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from gevent.event import Event

from meshproxy.metrics.histogram import Histogram
from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.statsd import (
    MAX_TIMINGS,
    Changes,
    Statsd,
    StatsdConfig,
    thinned,
)
from meshproxy.telemeters.telemeter import TelemeterDeps
from tests.kit.statsd import line

CONFIG = StatsdConfig(prefix="l5d", sample_rate=1.0)

CASES = [
    pytest.param(
        "meshproxy",
        "rt outgoing server 0.0.0.0/4140 requests",
        "counter",
        1,
        "meshproxy.rt.outgoing.server.0_0_0_0.4140.requests:1|c",
        id="counter",
    ),
    pytest.param(
        "meshproxy",
        "rt outgoing client $/io.buoyant.rinet/443/linkerd.io success",
        "counter",
        3,
        "meshproxy.rt.outgoing.client._.io_buoyant_rinet.443.linkerd_io.success:3|c",
        id="client id with sigils and slashes",
    ),
    pytest.param(
        "linkerd",
        "rt outgoing service svc/linkerd.io:443 request_latency_ms",
        "stat",
        12.9,
        "linkerd.rt.outgoing.service.svc.linkerd_io_443.request_latency_ms:12|ms",
        id="latency, truncated",
    ),
    pytest.param(
        "linkerd",
        "rt outgoing client #/io.l5d.k8s/default/http/hello loadbalancer size",
        "gauge",
        3.0,
        "linkerd.rt.outgoing.client._.io_l5d_k8s.default.http.hello.loadbalancer.size:3|g",
        id="whole gauge",
    ),
    pytest.param(
        "linkerd", "jvm mem ratio", "gauge", 0.25, "linkerd.jvm.mem.ratio:0.25|g", id="fraction"
    ),
    pytest.param("l", "g", "gauge", 1e-9, "l.g:0|g", id="too small a gauge"),
    pytest.param("l", "g", "gauge", -1e-9, "l.g:0|g", id="no negative zero"),
    pytest.param("l", "g", "gauge", 1e17, "l.g:100000000000000000|g", id="no exponent"),
    pytest.param("", "rt out", "counter", 1, "rt.out:1|c", id="no dot after an empty prefix"),
    pytest.param("l", "a//b a/ c", "counter", 1, "l.a.b.a.c:1|c", id="doubled slashes"),
    pytest.param("l", "é\n|:@ x", "counter", 1, "l._____.x:1|c", id="nothing breaks a line"),
]


@pytest.mark.parametrize(("prefix", "scope", "kind", "value", "expected"), CASES)
def test_lines_are_linkerds(
    prefix: str, scope: str, kind: str, value: float, expected: str
) -> None:
    assert line(prefix, tuple(scope.split(" ")), kind, value) == expected


def test_a_rate_below_one_is_written() -> None:
    assert line("l", ("ms",), "stat", 3, 0.01) == "l.ms:3|ms|@0.010000"


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999999])
def test_thinning_by_one_keeps_everything(draw: float) -> None:
    assert list(thinned(Histogram().record([1, 1, 2, 7]), 1, draw)) == [1, 1, 2, 7]


def test_thinning_takes_every_nth_of_the_sorted_values() -> None:
    values = Histogram().record(range(100))
    assert list(thinned(values, 25, 0.0)) == [0, 25, 50, 75]
    assert list(thinned(values, 25, 0.5)) == [12, 37, 62, 87]
    assert list(thinned(values, 200, 0.6)) == []


def changes(tree: Tree, config: StatsdConfig = CONFIG, draw: float = 0.0) -> Changes:
    return Changes(tree, config, lambda: draw)


def lines(changes: Changes, *, gauges: bool) -> list[str]:
    return [line for batch in changes.batches(gauges=gauges) for line in batch]


def test_counters_go_out_as_sums_and_only_when_they_changed() -> None:
    tree = Tree()
    counter = tree.counter("a")
    tree.counter("b")
    watched = changes(tree)
    counter.value += 5
    assert lines(watched, gauges=False) == ["l5d.a:5|c"]
    assert lines(watched, gauges=False) == []
    counter.value += 2
    assert lines(watched, gauges=False) == ["l5d.a:2|c"]


def test_gauges_go_out_when_wanted_changed_or_not() -> None:
    tree = Tree()
    tree.gauge("g", fn=lambda: 2)
    watched = changes(tree)
    assert lines(watched, gauges=False) == []
    assert lines(watched, gauges=True) + lines(watched, gauges=True) == ["l5d.g:2|g"] * 2


def test_a_negative_gauge_is_no_decrement() -> None:
    tree = Tree()
    tree.gauge("g").value = -2
    assert lines(changes(tree), gauges=True) == ["l5d.g:0|g", "l5d.g:-2|g"]


def test_a_gauge_that_is_no_number_is_left_out() -> None:
    tree = Tree()
    tree.gauge("g").value = float("inf")
    assert lines(changes(tree), gauges=True) == []


def test_timings_of_the_interval_go_out_whole_while_they_are_few() -> None:
    tree = Tree()
    stat = tree.stat("ms")
    watched = changes(tree)
    stat.add(3.7)
    stat.add(3.1)
    assert lines(watched, gauges=False) == ["l5d.ms:3|ms", "l5d.ms:3|ms"]
    assert lines(watched, gauges=False) == []
    stat.add(9)
    assert lines(watched, gauges=False) == ["l5d.ms:9|ms"]


def test_many_timings_are_thinned_and_their_rate_makes_up_for_it() -> None:
    tree = Tree()
    stat = tree.stat("ms")
    for value in range(1000):
        stat.add(value)
    got = lines(changes(tree), gauges=False)
    assert len(got) == MAX_TIMINGS
    assert {one.partition("|")[2] for one in got} == {"ms|@0.100000"}


def test_the_sample_rate_thins_timings_only() -> None:
    tree = Tree()
    tree.counter("c").value = 400
    for _ in range(400):
        tree.stat("ms").add(5)
    got = lines(changes(tree, replace(CONFIG, sample_rate=0.01)), gauges=False)
    assert got == ["l5d.c:400|c", *["l5d.ms:5|ms|@0.010000"] * 4]


def test_no_sample_no_timings() -> None:
    tree = Tree()
    tree.stat("ms").add(5)
    assert lines(changes(tree, replace(CONFIG, sample_rate=0)), gauges=False) == []


def test_what_was_pruned_says_its_last_word_and_no_more() -> None:
    tree = Tree()
    tree.gauge("client", "pending")
    counter = tree.counter("client", "requests")
    watched = changes(tree)
    assert lines(watched, gauges=True) == ["l5d.client.pending:0|g"]
    counter.value += 2
    tree.stat("client", "ms").add(4)
    tree.scope("client").prune()
    assert lines(watched, gauges=True) == ["l5d.client.requests:2|c"]
    assert lines(watched, gauges=True) == []


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


def telemeter(tree: Tree, collector: socket.socket, **keys: object) -> Statsd:
    port = collector.getsockname()[1]
    config = replace(CONFIG, port=port, **keys)  # type: ignore[arg-type]
    return config.build(TelemeterDeps(tree))


def received(collector: socket.socket, lines: int) -> list[str]:
    got: list[str] = []
    while len(got) < lines:
        datagram = collector.recv(65536)
        assert len(datagram) <= 1400
        got += datagram.decode("ascii").split("\n")
    return got


def test_changes_arrive_each_second_and_the_rest_at_the_end(collector: socket.socket) -> None:
    tree = Tree()
    counter = tree.counter("requests")
    statsd = telemeter(tree, collector)
    counter.value = 3
    statsd.start()
    assert received(collector, 1) == ["l5d.requests:3|c"]
    counter.value = 10
    statsd.close()
    assert received(collector, 1) == ["l5d.requests:7|c"]


def test_gauges_arrive_at_their_interval(collector: socket.socket) -> None:
    tree = Tree()
    tree.gauge("g").value = 4
    statsd = telemeter(tree, collector, gauge_interval_ms=20)
    statsd.start()
    try:
        assert received(collector, 2) == ["l5d.g:4|g"] * 2
    finally:
        statsd.close()


def test_many_lines_share_datagrams_of_1400_bytes(collector: socket.socket) -> None:
    tree = Tree()
    expected = set()
    for n in range(700):
        tree.counter("a long scope", f"counter {n}").value = 1
        expected.add(f"l5d.a_long_scope.counter_{n}:1|c")
    statsd = telemeter(tree, collector)
    statsd.start()
    statsd.close()
    assert set(received(collector, 700)) == expected


def test_a_host_without_address_costs_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    tree = Tree()
    tree.counter("requests").value = 3
    statsd = Statsd(replace(CONFIG, hostname="statsd.example"), tree)
    statsd.start()
    statsd.close()
    assert tree.counter("telemeter", "statsd", "dropped").value == 1


def test_a_failing_gauge_does_not_end_the_telemeter(
    collector: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Event()

    def fail() -> float:
        asked.set()
        raise ZeroDivisionError

    tree = Tree()
    tree.counter("after").value = 1
    tree.gauge("broken", fn=fail)
    statsd = telemeter(tree, collector, gauge_interval_ms=10)
    statsd.start()
    assert asked.wait(5)
    statsd.close()
    assert "statsd: a flush failed" in caplog.text
    statsd.close()


@pytest.mark.parametrize("prefix", ["a:b", "a|b", "a@b", "a b", "a\n", "é"])
def test_a_prefix_that_would_break_the_lines_is_refused(prefix: str) -> None:
    problems = list(StatsdConfig(prefix=prefix).check())
    assert [problem.key for problem in problems] == ["prefix"]


@pytest.mark.parametrize("prefix", ["a.b-c_d", ""])
def test_a_prefix_may_have_dots_and_may_be_empty(prefix: str) -> None:
    assert not list(StatsdConfig(prefix=prefix).check())


def test_the_exact_grammar_of_every_line() -> None:
    tree = Tree()
    tree.counter("c", "$/inet/1.2.3.4/80").value = 1
    tree.gauge("g").value = 0.5
    tree.stat("s").add(1)
    told = lines(changes(tree), gauges=True)
    assert len(told) == 3
    for one in told:
        assert re.fullmatch(r"[A-Za-z0-9._]+:[0-9.]+\|(c|g|ms)(\|@[0-9.]+)?", one), one


def test_one_that_is_late_tells_nothing_of_what_was_before(collector: socket.socket) -> None:
    tree = Tree()
    tree.counter("requests").value = 3
    late = TelemeterDeps(tree, is_late=True)
    statsd = replace(CONFIG, port=collector.getsockname()[1]).build(late)
    statsd.start()
    tree.counter("requests").value += 2
    statsd.close()
    assert received(collector, 1) == ["l5d.requests:2|c"]
