"""The routers at a glance, from a tree of metrics."""

import json
import re
import time
from typing import Any

import gevent
import pytest

from meshproxy.admin import overview
from meshproxy.admin.overview import Overview
from meshproxy.admin.pages import AdminRequest
from meshproxy.metrics.tree import Tree
from meshproxy.net import slices
from meshproxy.net.turn import next_turn
from tests.kit.effort import lines_run


@pytest.fixture
def metrics() -> Tree:
    return Tree()


def show(metrics: Tree, query: str = "", why_not_ready: str | None = None) -> dict[str, Any]:
    page = Overview(metrics, lambda: 1.5, lambda: why_not_ready)
    return ask(page, query)


def ask(page: Overview, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page(AdminRequest.of("GET", f"/overview.json{query}")).body)
    return found


def serve(metrics: Tree, requests: int, success: int, label: str = "http") -> Tree:
    """Count *requests* at a server of a router; the router's scope."""
    server = metrics.scope("rt", label, "server", "127.0.0.1/4140")
    server.counter("requests").incr(requests)
    server.counter("success").incr(success)
    return metrics.scope("rt", label)


def add_client(
    router: Tree, name: str, size: int, available: int, requests: int = 0, dead_s: float = 0
) -> Tree:
    client = router.scope("client", name)
    client.counter("requests").incr(requests)
    client.gauge("loadbalancer", "size", fn=lambda: size)
    client.gauge("loadbalancer", "available", fn=lambda: available)
    client.gauge("failure_accrual", "longest_dead_s", fn=lambda: dead_s)
    return client


def test_a_router_is_the_sum_of_its_servers(metrics: Tree) -> None:
    router = serve(metrics, 7, 5)
    other = router.scope("server", "127.0.0.1/4141")
    other.counter("requests").incr(3)
    other.gauge("pending").value = 2
    other.stat("request_latency_ms").add(120)
    router.scope("server", "127.0.0.1/4140").stat("request_latency_ms").add(8)
    router.scope("service", "svc/a").counter("retries", "total").incr(4)
    (shown,) = show(metrics)["routers"]
    assert [shown[key] for key in ("label", "requests", "success", "pending", "retries")] == [
        "http",
        10,
        5,
        2,
        4,
    ]
    assert (shown["p50"], shown["max"]) == (8, 120)


def test_rows_have_their_latencies_and_those_not_shown_cost_little(metrics: Tree) -> None:
    router = serve(metrics, 1, 1)
    for number in range(100):
        client = add_client(router, f"#/{number}", 1, 1, requests=100 - number)
        client.stat("request_latency_ms").add(8 + number)
    page = Overview(metrics, lambda: 0.0, lambda: None)
    rows = ask(page, "?limit=2")["routers"][0]["clients"]["rows"]
    assert [(row["name"], row["p50"]) for row in rows] == [("/#/0", 8), ("/#/1", 9)]
    none = lines_run(lambda: ask(page, "?limit=0"))
    everything = lines_run(lambda: ask(page, "?limit=100"))
    assert none < everything / 2


def test_without_a_request_there_is_no_latency(metrics: Tree) -> None:
    serve(metrics, 0, 0).scope("server", "127.0.0.1/4140").stat("request_latency_ms")
    assert show(metrics)["routers"][0]["p99"] is None


def test_problems_come_first(metrics: Tree) -> None:
    router = serve(metrics, 1, 1)
    add_client(router, "#/fine", 3, 3)
    add_client(router, "#/out", 10, 9, dead_s=12.4)
    add_client(router, "#/none", 0, 0)
    shown = show(metrics, why_not_ready="waiting for DNS")
    assert [problem["what"] for problem in shown["problems"]] == [
        "Not ready: waiting for DNS",
        "1 of 10 endpoints of /#/out out for 12 s",
        "/#/none has no endpoints",
    ]
    assert shown["problems"][1] == {
        "what": "1 of 10 endpoints of /#/out out for 12 s",
        "router": "http",
        "client": "/#/out",
    }


def test_what_says_most_comes_first_and_what_anybody_may_ask_for_is_no_problem(
    metrics: Tree,
) -> None:
    router = serve(metrics, 1, 1)
    add_client(router, "$/io.buoyant.rinet/80/made.up", 0, 0, requests=900)
    lost = add_client(router, "$/io.buoyant.rinet/80/lost", 0, 0, requests=100)
    lost.counter("loadbalancer", "adds").incr()
    add_client(router, "#/few", 3, 2, requests=1)
    add_client(router, "#/many", 3, 2, requests=9)
    failing = {"source": "DNS", "name": "web", "answered_at": 1.0, "failing_since": 2.0}
    page = Overview(
        metrics, lambda: 0.0, lambda: None, failing=lambda: [{**failing, "failure": "no answer"}]
    )
    shown = ask(page)
    first, second, third, last = (one["what"] for one in shown["problems"])
    assert (first, second) == (
        "1 of 3 endpoints of /#/many out",
        "1 of 3 endpoints of /#/few out",
    )
    assert third.startswith("DNS fails for web")
    assert last == "/$/io.buoyant.rinet/80/lost has no endpoints"
    rows = [row["name"] for row in shown["routers"][0]["clients"]["rows"]]
    assert rows[-1] == "/$/io.buoyant.rinet/80/made.up"


def test_endpoints_of_several_workers_are_told_as_a_sum(metrics: Tree) -> None:
    add_client(serve(metrics, 1, 1), "#/web", 20, 18, dead_s=9)
    workers = [{"worker": number, "state": "serving"} for number in range(2)]
    page = Overview(metrics, lambda: 0.0, lambda: None, lambda: workers)
    assert [one["what"] for one in ask(page)["problems"]] == [
        "2 of 20 endpoints of /#/web out for 9 s (sum of 2 workers)"
    ]


def test_problems_are_counted_and_the_first_are_told(metrics: Tree) -> None:
    router = serve(metrics, 1, 1)
    for number in range(60):
        add_client(router, f"#/{number}", 0, 0)
    shown = show(metrics)
    assert (shown["problem_count"], len(shown["problems"])) == (60, 50)


def test_a_worker_that_does_not_serve_is_a_problem(metrics: Tree) -> None:
    workers = [{"worker": 0, "state": "serving"}, {"worker": 1, "state": "silent"}]
    shown = ask(Overview(metrics, lambda: 0.0, lambda: None, lambda: workers))
    assert shown["problems"] == [{"what": "Worker 1 is silent"}]
    assert shown["workers"] == workers


def test_discovery_that_fails_is_a_problem(metrics: Tree) -> None:
    row = {
        "source": "DNS",
        "name": "web.test",
        "answered_at": 100.0,
        "failing_since": time.time() - 40,
        "failure": "no answer",
    }
    page = Overview(metrics, lambda: 0.0, lambda: None, failing=lambda: [row])
    (problem,) = ask(page)["problems"]
    assert problem["tab"] == "discovery"
    assert re.fullmatch(r"DNS fails for web.test since 4[0-9] s: no answer; .*", problem["what"])


def test_rows_are_few_the_troubled_and_the_most_used_first(metrics: Tree) -> None:
    router = serve(metrics, 1, 1)
    for number in range(60):
        add_client(router, f"#/{number}", 1, 1, requests=number)
    add_client(router, "#/out", 2, 1)
    clients = show(metrics)["routers"][0]["clients"]
    assert (clients["total"], clients["found"], len(clients["rows"])) == (61, 61, 50)
    assert [row["name"] for row in clients["rows"]][:3] == ["/#/out", "/#/59", "/#/58"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?q=%231", ["/#11", "/#1"]),
        ("?limit=1", ["/#11"]),
        ("?limit=-1", ["/#11", "/#2", "/#1"]),
        ("?limit=" + "9" * 5000, ["/#11", "/#2", "/#1"]),
    ],
)
def test_rows_can_be_chosen(metrics: Tree, query: str, names: list[str]) -> None:
    router = serve(metrics, 1, 1)
    for number in (1, 2, 11):
        add_client(router, f"#{number}", 1, 1, requests=number)
    assert [row["name"] for row in show(metrics, query)["routers"][0]["clients"]["rows"]] == names


def test_the_last_minutes_are_remembered_for_each_router_that_is(
    metrics: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "SAMPLES", 2)
    page = Overview(metrics, lambda: 0.0, lambda: None)
    serve(metrics, 1, 1, "gone").hold()
    for number in range(3):
        serve(metrics, number, 1)
        page.sample()
    by_label = {one["label"]: one["history"] for one in ask(page)["routers"]}
    assert [counts for _, *counts in by_label["http"]] == [[1, 2], [3, 3]]
    metrics.scope("rt", "gone").prune()
    page.sample()
    serve(metrics, 1, 1, "gone")
    page.sample()
    assert [len(one["history"]) for one in ask(page)["routers"]] == [2, 1]


def test_it_samples_from_start_to_close(metrics: Tree) -> None:
    serve(metrics, 1, 1)
    page = Overview(metrics, lambda: 0.0, lambda: None)
    page.start()
    next_turn()
    page.close()
    assert len(ask(page)["routers"][0]["history"]) == 1


def test_others_run_while_many_rows_are_made(
    metrics: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_S", 0)
    router = serve(metrics, 1, 1)
    for number in range(1000):
        add_client(router, f"#/{number}", 1, 1)
    turns: list[int] = []

    def count() -> None:
        while True:
            turns.append(1)
            next_turn()

    other = gevent.spawn(count)
    show(metrics)
    other.kill()
    assert len(turns) >= 1000


def test_only_reading_is_allowed(metrics: Tree) -> None:
    page = Overview(metrics, lambda: 0.0, lambda: None)
    assert page(AdminRequest("POST", "/overview.json")).status == 405
