"""The file for a fault report."""

import io
import json
import zipfile
from collections.abc import Mapping

import pytest

from meshproxy.admin import bug_report
from meshproxy.admin.bug_report import PATH, BugReport
from meshproxy.admin.pages import JSON, AdminRequest, AdminResponse, text
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {port: 0}
namers:
- {kind: io.l5d.consul, host: 127.0.0.1, port: 1, token: s3cret}
routers:
- protocol: http
  dtab: /svc => /nowhere
  servers: [{port: 0}]
"""


def files(answer: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(answer)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def report(pages: Mapping[str, AdminResponse]) -> BugReport:
    return BugReport(lambda request: pages[request.path], lambda: pages)


def test_a_proxy_tells_all_it_knows_but_secrets() -> None:
    with Proxy(CONFIG) as proxy:
        assert get(proxy.port(), "web", "/a?token=s3cret").status == 502
        reply = get(proxy.linker.admin_port, "localhost", PATH)
    assert (reply.status, reply.get("content-type")) == (200, "application/zip")
    assert "attachment" in (reply.get("content-disposition") or "")
    found = files(reply.body)
    assert {
        "README.txt",
        "versions.json",
        "config.json",
        "admin_metrics.json",
        "requests.json",
        "events.json",
        "client_state.json",
        "namer_state_io.l5d.consul.json",
        "admin_threads.txt",
    } < found.keys()
    (failure,) = json.loads(found["requests.json"])["requests"]
    assert failure["reason"] == "no_hosts"
    assert json.loads(found["versions.json"])["gevent"]
    assert not [name for name, body in found.items() if b"s3cret" in body]


def test_pages_that_are_not_allowed_are_not_in_it() -> None:
    hidden = "admin: {port: 0, security: {pathBlacklist: [/config.json]}}"
    with Proxy(CONFIG.replace("admin: {port: 0}", hidden)) as proxy:
        found = files(get(proxy.linker.admin_port, "localhost", PATH).body)
    assert "config.json" not in found
    assert "admin_metrics.json" in found


def test_a_page_that_fails_says_so_in_its_name() -> None:
    found = files(report({"/config.json": text("broken", 503)})(AdminRequest("GET", PATH)).body)
    assert found["config.json.503"] == b"broken"


def test_its_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bug_report, "MAX_PAGE", 5000)
    monkeypatch.setattr(bug_report, "MAX_TOTAL", 8000)
    long = AdminResponse(b"x" * 6000, JSON)
    pages = {"/config.json": long, "/events.json": long, "/logging.json": long}
    found = files(report(pages)(AdminRequest("GET", PATH)).body)
    assert len(found["config.json.cut"]) == 5000
    assert sum(map(len, found.values())) == 8000
    assert "logging.json" not in found


def test_one_is_made_at_a_time() -> None:
    again: list[int] = []
    pages = {"/config.json": text("here")}

    def admin(request: AdminRequest) -> AdminResponse:
        again.append(page(AdminRequest("GET", PATH)).status)
        return pages[request.path]

    page = BugReport(admin, lambda: pages)
    assert page(AdminRequest("GET", PATH)).status == 200
    assert page(AdminRequest("GET", PATH)).status == 200
    assert again == [503, 503]
    assert page(AdminRequest("POST", PATH)).status == 405
