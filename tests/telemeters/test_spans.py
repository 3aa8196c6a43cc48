"""Spans reach a collector over a real socket, and a bad collector costs nothing but spans."""

import json
from collections.abc import Callable, Iterator

import pytest

from meshproxy.http.trace import SpanFacts
from meshproxy.http.trace_id import TraceId
from meshproxy.metrics.tree import Tree
from meshproxy.telemeters import spans as room
from meshproxy.telemeters.spans import Sampler, SpanExporter, SpanExporterConfig, Texts
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import wait_until
from tests.kit.spans import Recorded, span
from tests.kit.wire import free_port

Serve = Callable[[object], Answer]
EVERYTHING = SpanExporterConfig(sample_rate=1.0)


def one(*numbers: int) -> Recorded:
    """Return a recording of a span of each number."""
    return Recorded(*(span(TraceId(number, number, number)) for number in numbers))


def numbers(spans: object) -> bytes:
    return json.dumps([each.id.span for each in spans]).encode()  # type: ignore[attr-defined]


class World:
    """An exporter that posts to *port*, and what it counted."""

    def __init__(self, port: int, config: SpanExporterConfig = EVERYTHING) -> None:
        self.tree = Tree()
        url = f"http://127.0.0.1:{port}/spans"
        self.exporter = SpanExporter("mine", url, config, numbers, self.tree)

    def counts(self) -> list[int]:
        """Return how many spans were sent and dropped, and how many posts failed."""
        scope = self.tree.scope("telemeter", "mine")
        return [scope.counter(name).value for name in ("sent", "dropped", "failures")]


@pytest.fixture
def collector() -> Iterator[Downstream]:
    with Downstream(lambda _: Answer(202)) as server:
        yield server


def test_what_is_recorded_is_posted_soon_and_at_the_end(collector: Downstream) -> None:
    world = World(collector.port)
    world.exporter.start()
    world.exporter.record(one(1))
    wait_until(lambda: world.counts() == [1, 0, 0])
    world.exporter.record(one(2))
    world.exporter.close()
    assert [json.loads(each.body) for each in collector.requests] == [[1], [2]]
    first = collector.requests[0]
    assert (first.method, first.target, first.get("content-type")) == (
        "POST",
        "/spans",
        "application/json",
    )


def test_many_are_posted_in_batches(collector: Downstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BATCH", 2)
    world = World(collector.port)
    for number in range(5):
        world.exporter.record(one(number))
    world.exporter.start()
    world.exporter.close()
    assert [json.loads(each.body) for each in collector.requests] == [[0, 1], [2, 3], [4]]


def test_the_spans_of_one_trace_are_posted_together(
    collector: Downstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_BATCH", 3)
    world = World(collector.port)
    for trace in ((1, 2), (3, 4), (5, 6, 7, 8), (9,)):
        world.exporter.record(one(*trace))
    world.exporter.start()
    world.exporter.close()
    posted = [json.loads(each.body) for each in collector.requests]
    assert posted == [[1, 2], [3, 4], [5, 6, 7, 8], [9]]
    assert world.counts() == [9, 0, 0]


def test_spans_that_have_no_room_are_dropped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_QUEUED", 3)
    world = World(free_port())
    for trace in ((1, 2), (3, 4), (5,), (6,)):
        world.exporter.record(one(*trace))
    assert world.counts() == [0, 3, 0]
    world.exporter.close()
    assert world.counts() == [0, 6, 0]


def test_the_text_of_what_recurs_is_made_once() -> None:
    made = []

    def form(facts: SpanFacts) -> str:
        made.append(facts)
        return f"text of {facts.name}"

    texts = Texts(form)
    first, second = (SpanFacts("SERVER", name, "out", "", {}) for name in ("GET", "PUT"))
    assert [texts[facts] for facts in (first, second, first)] == [
        "text of GET",
        "text of PUT",
        "text of GET",
    ]
    assert made == [first, second]


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_QUEUED", 2)
    world = World(free_port())
    for number in range(5):
        world.exporter.record(one(number))
    assert world.counts() == [0, 3, 0]
    world.exporter.close()
    assert world.counts() == [0, 5, 0]


def test_a_collector_that_is_not_there_costs_spans_only() -> None:
    world = World(free_port())
    world.exporter.record(one(1))
    world.exporter.start()
    world.exporter.close()
    assert world.counts() == [0, 1, 1]


def test_a_collector_that_refuses_is_counted() -> None:
    with Downstream(lambda _: Answer(400)) as refusing:
        world = World(refusing.port)
        world.exporter.record(one(1))
        world.exporter.start()
        world.exporter.close()
    assert world.counts() == [0, 1, 1]


@pytest.mark.parametrize(
    ("rate", "trace", "wanted"),
    [
        (0.5, TraceId(1, 1, 4999), True),
        (0.5, TraceId(1, 1, 5000), False),
        (0.0, TraceId(1, 1, 0).sampled(yes=True), True),
        (1.0, TraceId(1, 1, 0).sampled(yes=False), False),
        (0.0, TraceId(1, 1, 0, 1), True),
    ],
)
def test_the_rate_decides_where_the_trace_does_not(
    rate: float, trace: TraceId, *, wanted: bool
) -> None:
    assert Sampler(rate, lambda _: 0).wants(trace.trace, trace.flags) is wanted


def test_more_traces_than_the_limit_are_counted_and_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "BURST", 3)
    monkeypatch.setattr(room, "FLUSH_INTERVAL_S", 0.001)
    config = SpanExporterConfig(sample_rate=1.0, max_traces_per_second=2)
    world = World(free_port(), config)
    wanted = [world.exporter.wants(n, 0) for n in range(5)]
    assert wanted == [True, True, True, False, False]
    assert world.tree.counter("telemeter", "mine", "limited").value == 2
    world.exporter.start()
    wait_until(lambda: world.exporter.wants(9, 0))
    world.exporter.close()
