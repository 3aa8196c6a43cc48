"""The latest requests as pages."""

import json
from typing import Any

import pytest

from meshproxy.admin.pages import AdminHandler, AdminRequest
from meshproxy.admin.recent_requests import MAX_LIMIT, requests_pages
from meshproxy.metrics.tree import Tree
from meshproxy.recent.request import RecentRequest
from meshproxy.recent.requests import RecentRequests
from tests.kit.recent import ended


def page(*requests: RecentRequest, path: str = "/requests.json") -> AdminHandler:
    recent = RecentRequests()
    recent.merge(map(list, requests))
    return requests_pages(recent, Tree())[path]


def found(handler: AdminHandler, query: str = "") -> list[dict[str, Any]]:
    answer = handler(AdminRequest.of("GET", f"/requests.json{query}"))
    assert answer.status == 200
    requests: list[dict[str, Any]] = json.loads(answer.body)["requests"]
    return requests


def test_a_request_is_shown_with_all_that_is_known() -> None:
    one = ended(status=502, reason="connect", why="refused", phases={"connect": 4.0})
    assert found(page(one)) == [
        {
            "at": 0.25,
            "router": "outgoing",
            "server": "0.0.0.0/4140",
            "client": "10.0.0.1:5000",
            "method": "GET",
            "host": "web",
            "path": "/a",
            "status": 502,
            "failed": True,
            "reason": "connect",
            "why": "refused",
            "ms": 10.0,
            "latency_ms": 10.0,
            "attempts": 1,
            "logical": "/svc/web",
            "bound": "/#/io.l5d.fs/web",
            "endpoint": "127.0.0.1:80",
            "egress": None,
            "trace": "00000000000000ab",
            "phases": {"connect": 4.0, "wait": 6.0, "body": 0.0},
            "lanes": [
                {
                    "bound": "/#/io.l5d.fs/web",
                    "endpoint": "127.0.0.1:80",
                    "result": "502",
                    "from_ms": 0.0,
                    "to_ms": 10.0,
                }
            ],
        }
    ]


def test_what_is_asked_for_is_shown_newest_first() -> None:
    handler = page(*(ended(ended_at=at, status=200 + at % 2) for at in range(6)))
    assert [one["at"] for one in found(handler, "?status=201&limit=2")] == [5, 3]
    assert len(found(handler, f"?limit={MAX_LIMIT}0")) == 6


@pytest.mark.parametrize("path", ["/requests", "/requests.json"])
@pytest.mark.parametrize("query", ["?limit=-1", "?limit=x", "?status=fine", "?slower=no"])
def test_what_cannot_be_read_is_refused(path: str, query: str) -> None:
    answer = page(path=path)(AdminRequest.of("GET", path + query))
    assert answer.status == 400
    assert page(path=path)(AdminRequest.of("POST", path)).status == 405


def test_a_row_shows_everything_known_and_leads_to_the_explanation() -> None:
    one = ended(status=503, reason="endpoint", why="too bad", egress="allow by git")
    handler = page(one, path="/requests")
    body = handler(AdminRequest.of("GET", "/requests")).body.decode()
    name = '<a href="explain?router=outgoing&amp;path=%2Fsvc%2Fweb">/svc/web</a>'
    cells = (
        "1970-01-01 00:00:00.250+00:00",
        "10.0.0.1:5000",
        "0.0.0.0/4140",
        "outgoing",
        "GET web/a",
        name,
        "/#/io.l5d.fs/web",
        "127.0.0.1:80",
        "503",
        "10.0",
        "1",
        "endpoint: too bad",
        "allow by git",
    )
    assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in body


def test_values_are_escaped() -> None:
    hostile = '<script>"&'
    one = ended(source=hostile, host=hostile, why=hostile, reason="x", logical=hostile)
    body = page(one, path="/requests")(AdminRequest.of("GET", "/requests")).body.decode()
    assert "<script>" not in body
    assert "path=%3Cscript%3E%22%26" in body


def test_what_another_process_has_is_fetched_first() -> None:
    recent = RecentRequests()
    handler = requests_pages(recent, Tree(), lambda: recent.merge([list(ended())]))
    assert len(found(handler["/requests.json"])) == 1
