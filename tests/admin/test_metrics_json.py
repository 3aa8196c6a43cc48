import json
from typing import Any

import pytest

from meshproxy.admin.metrics_json import metrics_json
from meshproxy.admin.pages import JSON, AdminRequest
from meshproxy.metrics.tree import Tree


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    client = tree.scope("rt", "out", "client", "$/inet/127.1/80")
    client.counter("requests").incr(3)
    client.counter("failures").incr(2)
    client.counter("failures", "connect").incr(2)
    client.gauge("pending").value = 1.5
    client.stat("ms").add(10)
    return tree


def ask(tree: Tree, /, **query: str) -> Any:
    response = metrics_json(tree)(AdminRequest("GET", "/admin/metrics.json", query))
    assert (response.status, response.content_type) == (200, JSON)
    return json.loads(response.body)


PREFIX = "rt/out/client/$/inet/127.1/80/"


def test_flat_names_are_scopes_joined_by_slashes(tree: Tree) -> None:
    assert ask(tree) == {
        PREFIX + "requests": 3,
        PREFIX + "failures": 2,
        PREFIX + "failures/connect": 2,
        PREFIX + "pending": 1.5,
    }


def test_a_histogram_shows_the_last_interval_only(tree: Tree) -> None:
    stat = tree.stat("rt", "out", "client", "$/inet/127.1/80", "ms")
    assert not any("ms" in name for name in ask(tree))
    stat.snapshot()
    got = {name.removeprefix(PREFIX): value for name, value in ask(tree).items() if "/ms." in name}
    assert got.pop("ms.avg") == 10.0
    assert got.pop("ms.count") == 1
    assert set(got.values()) == {10}
    assert set(got) == {
        f"ms.{part}" for part in ("max", "min", "p50", "p90", "p95", "p99", "p9990", "p9999", "sum")
    }
    stat.snapshot()
    assert {name: value for name, value in ask(tree).items() if "/ms." in name} == {
        PREFIX + "ms.count": 0
    }


def test_nested_objects_name_the_kind(tree: Tree) -> None:
    tree.stat("rt", "out", "client", "$/inet/127.1/80", "ms").snapshot()
    got = ask(tree, tree="true")["rt"]["out"]["client"]["$/inet/127.1/80"]
    assert got["requests"] == {"counter": 3}
    assert got["failures"] == {"counter": 2, "connect": {"counter": 2}}
    assert got["pending"] == {"gauge": 1.5}
    assert got["ms"]["stat.p99"] == 10


def test_pretty_is_sorted_and_indented(tree: Tree) -> None:
    request = AdminRequest("GET", "/admin/metrics.json", {"pretty": "true"})
    lines = metrics_json(tree)(request).body.decode().splitlines()
    assert lines[1] == f'  "{PREFIX}failures": 2,'
    assert lines[1:-1] == sorted(lines[1:-1])


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("rt/out/client/$/inet/127.1/80/failures", {"": 2, "connect": 2}),
        ("rt/out/client/$/inet/127.1/80/requests", {"": 3}),
        ("/rt/out/client/$/inet/127.1/80/pending/", {"": 1.5}),
    ],
)
def test_a_subtree_is_found_although_its_names_hold_slashes(
    tree: Tree, q: str, expected: dict[str, float]
) -> None:
    assert ask(tree, q=q) == expected


def test_a_shorter_element_is_tried_when_the_longer_leads_nowhere() -> None:
    tree = Tree()
    tree.counter("a/b", "x").incr(1)
    tree.counter("a", "b", "y").incr(2)
    assert ask(tree, q="a/b/x") == {"": 1}
    assert ask(tree, q="a/b/y") == {"": 2}
    assert ask(tree, q="a", tree="1") == {"b": {"y": {"counter": 2}}}


def test_the_longer_element_wins_where_both_lead_somewhere() -> None:
    tree = Tree()
    tree.counter("a", "b/c").incr(1)
    tree.counter("a/b", "c").incr(2)
    assert ask(tree, q="a/b/c") == {"": 2}


def test_an_unknown_subtree_is_not_found(tree: Tree) -> None:
    request = AdminRequest("GET", "/admin/metrics.json", {"q": 'a/"b'})
    got = metrics_json(tree)(request)
    assert got.status == 404
    assert json.loads(got.body) == {"error": 'No such subtree: a/"b'}


def test_a_gauge_that_is_no_number_keeps_the_page_valid() -> None:
    tree = Tree()
    tree.gauge("g", fn=lambda: float("nan"))
    tree.gauge("h").value = 1
    assert ask(tree) == {"h": 1}


def test_posting_is_refused() -> None:
    assert metrics_json(Tree())(AdminRequest("POST", "/admin/metrics.json")).status == 405


def test_a_tree_is_indented_as_json_does_it(tree: Tree) -> None:
    tree.scope("empty", "within")
    tree.stat("rt", "out", "client", "$/inet/127.1/80", "ms").snapshot()
    page = metrics_json(tree)
    request = AdminRequest("GET", "/admin/metrics.json", {"pretty": "true", "tree": "true"})
    body = page(request).body.decode()
    assert body == json.dumps(ask(tree, tree="true"), indent=2, sort_keys=True)
    compact = page(AdminRequest("GET", "/admin/metrics.json", {"tree": "true"})).body.decode()
    assert compact == json.dumps(json.loads(compact))


def test_every_value_is_a_number(tree: Tree) -> None:
    tree.gauge("open", fn=lambda: True)
    assert ask(tree)["open"] == 1
    assert b"true" not in metrics_json(tree)(AdminRequest("GET", "/")).body
