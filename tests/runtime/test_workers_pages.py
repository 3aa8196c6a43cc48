"""What several workers say, as one answer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from meshproxy.admin.pages import JSON, AdminRequest, AdminResponse, failure, text
from meshproxy.runtime.workers_pages import WorkersPages


def page(*answers: AdminResponse, own: Mapping[str, AdminResponse] | None = None) -> WorkersPages:
    """Workers that give these *answers* whatever they are asked."""
    pages = {path: (lambda _, one=one: one) for path, one in (own or {}).items()}
    return WorkersPages(lambda _: dict(enumerate(answers)), pages)


def as_json(value: Any) -> AdminResponse:
    return text(json.dumps(value), content_type=JSON)


def get(pages: WorkersPages, path: str) -> AdminResponse:
    return pages(AdminRequest("GET", path))


@pytest.mark.parametrize(
    ("path", "answers", "expected"),
    [
        ("/bound-names.json", [["/b", "/a"], ["/c", "/a"]], ["/a", "/b", "/c"]),
        ("/logging.json", [[{"logger": "root"}], [{"logger": "other"}]], [{"logger": "root"}]),
        ("/namer_state/x.json", [{"a": 1}, {}], {"worker 0": {"a": 1}, "worker 1": {}}),
        (
            "/client_state.json",
            [{"/a": {"state": "Neg", "addresses": []}}, {"/a": {"state": "b", "addresses": ["x"]}}],
            {"/a": {"state": "b", "addresses": ["x"]}},
        ),
    ],
)
def test_what_means_the_same_is_merged_and_the_rest_told_apart(
    path: str, answers: list[Any], expected: Any
) -> None:
    got = get(page(*map(as_json, answers)), path)
    assert (got.status, got.content_type, json.loads(got.body)) == (200, JSON, expected)


def test_the_worker_that_knows_the_clients_explains() -> None:
    answers = [
        {"clients": [{"is_running": running}], "worker": number}
        for number, running in enumerate((False, True, False))
    ]
    got = json.loads(get(page(*map(as_json, answers)), "/explain").body)
    assert got["worker"] == 1


def test_events_are_told_apart_and_the_latest_comes_first() -> None:
    answers = [[{"at": 3}, {"at": 1}], [{"at": 2}]]
    own = {"/events.json": as_json([{"at": 4}])}
    got = json.loads(get(page(*map(as_json, answers), own=own), "/events.json").body)
    assert [(one["at"], one["process"]) for one in got] == [
        (4, "supervisor"),
        (3, "worker 0"),
        (2, "worker 1"),
        (1, "worker 0"),
    ]


def test_names_that_fail_in_any_process_come_first() -> None:
    def names(*failures: str) -> dict[str, Any]:
        rows = [{"failure": one, "source": "DNS", "name": "a"} for one in failures]
        return {"found": 10, "names": rows}

    got = get(page(as_json(names("", "")), as_json(names("refused"))), "/discovery.json")
    shown = json.loads(got.body)
    assert shown["found"] == 20
    assert [one["process"] for one in shown["names"]] == ["worker 1", "worker 0", "worker 0"]


def test_texts_stand_below_each_other_that_of_the_supervisor_first() -> None:
    got = get(page(text("one\n"), text("two\n"), own={"/t": text("mine\n")}), "/t")
    assert got.body == b"supervisor: mine\n\nworker 0: one\n\nworker 1: two\n"


def test_who_cannot_answer_is_left_out() -> None:
    got = get(page(failure(500), as_json(["/a"])), "/bound-names.json")
    assert json.loads(got.body) == ["/a"]


def test_a_refusal_of_all_is_the_answer() -> None:
    assert get(page(failure(404), failure(404)), "/no") == failure(404)


def test_without_any_answer_there_is_503() -> None:
    assert get(page(), "/client_state.json").status == 503


def test_a_change_is_confirmed_once() -> None:
    pages = page(text("done\n"), text("done\n"), own={"/set": text("done\n")})
    assert pages(AdminRequest("POST", "/set")).body == b"done\n"


def test_a_redirect_of_all_is_the_answer() -> None:
    back = AdminResponse(b"", status=303, headers=(("Location", "logging"),))
    pages = page(AdminResponse(b"", status=303), own={"/logging.json": back})
    assert pages(AdminRequest("POST", "/logging.json")) == back


def test_the_paths_are_those_of_all_workers() -> None:
    assert set(page(text("/a\n/b\n"), text("/c\n"), own={"/t": text("")}).paths()) == {
        "/a",
        "/b",
        "/c",
        "/t",
    }
