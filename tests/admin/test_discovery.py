"""What discovery believes, as a page and as problems."""

import json
from collections.abc import Iterable
from typing import Any, Final, get_type_hints

import pytest

from meshproxy.admin.discovery import DNS, discovery_json, problems
from meshproxy.admin.pages import AdminRequest
from meshproxy.config.kinds import KINDS, find
from meshproxy.naming.followed import Followed

GOOD = Followed("web.test", "10.0.0.1", 100.0, renewed_at=130.0)
STALE = Followed("/web", "3 entries", 100.0, "refused", 140.0)
NEVER = Followed("/new", "", 0.0, "no such host", 150.0)


class Follows:
    """Something that follows these names."""

    def __init__(self, *names: Followed) -> None:
        self._names = names

    def followed(self) -> Iterable[Followed]:
        return self._names


def ask(query: str = "") -> dict[str, Any]:
    def sources() -> Iterable[tuple[str, Follows]]:
        return ((DNS, Follows(GOOD)), ("/#/io.l5d.consul", Follows(NEVER, STALE)))

    handler = discovery_json(sources)
    found: dict[str, Any] = json.loads(handler(AdminRequest.of("GET", f"/x{query}")).body)
    return found


def test_names_that_fail_come_first() -> None:
    found = ask()
    assert found["found"] == 3
    assert [row["name"] for row in found["names"]] == ["/new", "/web", "web.test"]
    assert found["names"][2] == {
        "source": "DNS",
        "name": "web.test",
        "answer": "10.0.0.1",
        "answered_at": 100,
        "failure": "",
        "failing_since": None,
        "renewed_at": 130,
    }


@pytest.mark.parametrize(
    ("query", "names", "found"),
    [
        ("?failing=1", ["/new", "/web"], 2),
        ("?q=DNS", ["web.test"], 1),
        ("?q=WEB", ["/web", "web.test"], 2),
        ("?limit=1", ["/new"], 3),
    ],
)
def test_names_can_be_chosen(query: str, names: list[str], found: int) -> None:
    shown = ask(query)
    assert ([row["name"] for row in shown["names"]], shown["found"]) == (names, found)


def test_only_reading_is_allowed() -> None:
    assert discovery_json(tuple)(AdminRequest("POST", "/discovery.json")).status == 405


def row(source: str, followed: Followed) -> dict[str, Any]:
    return {"source": source, **followed._asdict()}


CONSUL = "/#/io.l5d.consul"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(DNS, GOOD), row(CONSUL, GOOD)], []),
        (
            [row(CONSUL, STALE)],
            [f"{CONSUL} fails for /web since 20 s: refused; the last good answer is in use"],
        ),
        (
            [row(CONSUL, NEVER), row(CONSUL, STALE)],
            [f"{CONSUL} fails for 2 names since 20 s: refused; of some there was no answer yet"],
        ),
        ([row(DNS, NEVER)], []),
        (
            [row(DNS, STALE), row(CONSUL, NEVER)],
            [
                f"{CONSUL} fails for /new since 10 s: no such host; there was no answer yet",
                "DNS fails for /web since 20 s: refused; the last good answer is in use",
            ],
        ),
    ],
    ids=["fine", "stale", "never", "made up", "both"],
)
def test_what_fails_is_one_problem_for_each_source(
    rows: list[dict[str, Any]], expected: list[str]
) -> None:
    assert problems(rows, 160.0) == expected


OTHERS_ASK: Final = {"io.l5d.rewrite", "default"}
"""They ask nobody but other namers."""
CLUSTERS_ASK: Final = {"io.l5d.k8s", "io.l5d.k8s.ns", "io.l5d.k8s.external"}
"""A cluster is shown itself, as identifiers and transformers share it."""


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        (category, kind)
        for category in ("namers", "interpreters")
        for kind, where in KINDS[category].items()
        if where is not None
    ],
)
def test_every_kind_that_asks_a_system_is_shown(category: str, kind: str) -> None:
    config: Any = find(category, kind)
    built = get_type_hints(config.build)["return"]
    asks = kind not in OTHERS_ASK | CLUSTERS_ASK
    assert hasattr(built, "followed") == asks
    assert hasattr(built, "describe") == (asks or kind in CLUSTERS_ASK)
