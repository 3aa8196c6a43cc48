"""The endpoints of a client, shown and marked."""

import json
from typing import Any

import pytest

from meshproxy.admin.endpoints import DEAD_S, MARK, PATH, endpoints_pages
from meshproxy.admin.pages import Admin, AdminRequest, AdminResponse


class Marked:
    """An endpoint that notes how it was marked."""

    name = "10.0.0.1:80"

    def __init__(self) -> None:
        self.marks: list[object] = []

    def describe(self) -> dict[str, Any]:
        return {"address": self.name}

    def mark_dead(self, seconds: float) -> None:
        self.marks.append(seconds)

    def mark_alive(self) -> None:
        self.marks.append("alive")


@pytest.fixture
def endpoint() -> Marked:
    return Marked()


@pytest.fixture
def admin(endpoint: Marked) -> Admin:
    return Admin(endpoints_pages(lambda *names: [endpoint] if names == ("http", "/#/a") else []))


def mark(admin: Admin, **fields: str) -> AdminResponse:
    known = {"router": "http", "client": "/#/a", "address": "10.0.0.1:80", "state": "dead"}
    return admin(AdminRequest("POST", MARK, known | fields))


def test_those_of_a_client_are_shown(admin: Admin) -> None:
    found = admin(AdminRequest("GET", PATH, {"router": "http", "client": "/#/a"}))
    assert json.loads(found.body) == [{"address": "10.0.0.1:80"}]
    assert admin(AdminRequest("GET", PATH)).body == b"[]"
    assert admin(AdminRequest("POST", PATH)).status == 405


def test_one_is_marked_dead_and_alive(admin: Admin, endpoint: Marked) -> None:
    assert mark(admin).body == b"10.0.0.1:80 is dead for 300 s\n"
    assert mark(admin, seconds="1.5").body == b"10.0.0.1:80 is dead for 1.5 s\n"
    assert mark(admin, state="alive").body == b"10.0.0.1:80 is alive\n"
    assert endpoint.marks == [DEAD_S, 1.5, "alive"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"router": ""}, 400),
        ({"state": "asleep"}, 400),
        ({"seconds": "soon"}, 400),
        ({"seconds": "-1"}, 400),
        ({"seconds": "nan"}, 400),
        ({"seconds": "86401"}, 400),
        ({"client": "/#/b"}, 404),
        ({"router": "other"}, 404),
        ({"address": "10.0.0.1:81"}, 404),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    admin: Admin, endpoint: Marked, fields: dict[str, str], status: int
) -> None:
    assert mark(admin, **fields).status == status
    assert endpoint.marks == []


def test_reading_marks_nothing(admin: Admin, endpoint: Marked) -> None:
    assert admin(AdminRequest("GET", MARK)).status == 405
    assert endpoint.marks == []
