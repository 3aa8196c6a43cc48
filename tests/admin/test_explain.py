"""`/explain` of a running proxy: JSON for tools, a page for browsers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, free_port, get

CONFIG = """
admin: {{port: 0}}
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  label: out
  dtab: /svc => /#/io.l5d.fs ; /svc/no => !
  egress: {{rules: [{{name: here, action: allow, to: loopback, host: web}}], default: deny}}
  servers: [{{port: 0}}]
"""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with Downstream(lambda _: b"served") as origin:
        (tmp_path / "web").write_text(f"127.0.0.1 {origin.port}\n10.0.0.1 80\n")
        with Proxy(CONFIG.format(names=tmp_path)) as running:
            yield running


def ask(proxy: Proxy, *fields: str, **query: str) -> Reply:
    target = f"/explain?{urlencode(query)}"
    return get(proxy.linker.admin_port, "localhost", target, *fields)


def found(proxy: Proxy, **query: str) -> dict[str, Any]:
    reply = ask(proxy, **query)
    assert (reply.status, reply.get("content-type")) == (200, "application/json")
    explanation: dict[str, Any] = json.loads(reply.body)
    return explanation


def test_a_name_is_explained_down_to_its_endpoints(proxy: Proxy) -> None:
    assert get(proxy.port("out"), "web").status == 200
    name = found(proxy, router="out", path="/svc/web")
    assert name["bound"] is True
    assert name["tree"]["delegate"]["dentry"] == {
        "prefix": "/svc",
        "dst": "/#/io.l5d.fs",
        "place": "test.yaml:7:9",
    }
    (client,) = name["clients"]
    assert (client["id"], client["balancer"], client["tls"]) == ("/#/io.l5d.fs/web", "p2c", None)
    assert client["endpoint_count"] == 2


def test_discovery_that_fails_is_told_beside_names_that_it_may_have() -> None:
    config = CONFIG.format(names=".").replace("io.l5d.fs", "io.l5d.consul")
    config = config.replace("rootDir: .", f"port: {free_port()}").replace("l ;", "l/dc1 ;")
    with Proxy(config) as running:
        name = found(running, path="/svc/web")
        page = ask(running, BROWSER, path="/svc/web").body.decode()
    assert name["bound"] is False
    (failing,) = name["failing"]
    assert failing.startswith("/#/io.l5d.consul fails for ")
    assert "Connection refused; there was no answer yet" in failing
    assert "<h2>Discovery that fails now" in page
    assert failing.partition(" since ")[0] in page


def test_egress_rules_are_asked_as_for_the_request(proxy: Proxy) -> None:
    unknown = found(proxy, path="/svc/web")
    assert unknown["egress"]["decision"] == "depends"
    web = found(proxy, request="GET http://web/")
    assert web["path"] == "/svc/web"
    (client,) = web["clients"]
    here, private = sorted(client["endpoints"], key=lambda one: one["address"], reverse=True)
    assert here["egress"] == {"decision": "allow", "rule": "here", "reported": []}
    assert private["egress"] == {"decision": "deny", "rule": "default", "reported": []}
    other = found(proxy, request="GET http://no/")
    assert other["egress"] == {"decision": "deny", "rule": "default", "reported": []}
    assert other["why"] == ["/svc/no (/svc/no => !, test.yaml:7:32): ended by !"]


def test_a_request_without_a_name_says_why(proxy: Proxy) -> None:
    nameless = found(proxy, request="GET /", header="Host:")
    assert (nameless["path"], nameless["bound"]) == (None, False)
    assert nameless["request"]["error"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"router": "none", "path": "/svc/web"}, 404),
        ({"path": "svc"}, 400),
        ({"path": "/svc/web", "dtab": "/svc"}, 400),
        ({"path": "/svc/web", "wait": "x"}, 400),
        ({"request": "a b c"}, 400),
    ],
)
def test_what_cannot_be_read_is_refused(proxy: Proxy, query: dict[str, str], status: int) -> None:
    assert ask(proxy, **query).status == status


BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_browser_gets_a_page(proxy: Proxy) -> None:
    empty = ask(proxy, BROWSER)
    assert (empty.status, empty.get("content-type")) == (200, "text/html; charset=utf-8")
    assert b"<form" in empty.body
    reply = ask(proxy, BROWSER, path="/svc/web")
    page = reply.body.decode()
    assert "/svc/web: leads to an endpoint" in page
    assert "/svc =&gt; /#/io.l5d.fs, test.yaml:7:9" in page
    assert "default-src 'none'" in (reply.get("content-security-policy") or "")
    assert ask(proxy, BROWSER, path="/svc/web", format="json").body.startswith(b"{")


def test_hostile_words_are_escaped_on_the_page(proxy: Proxy) -> None:
    hostile = '"><script>alert(1)</script>'
    for query in (
        {"path": hostile},
        {"path": "/svc/web", "dtab": hostile},
        {"router": hostile, "path": "/svc/web"},
        {"request": f"GET http://web/{hostile}"},
        {"request": "GET http://web/", "header": f"x: {hostile}"},
    ):
        page = ask(proxy, BROWSER, **query).body.decode()
        assert "<script>alert" not in page
        assert "<form" in page


def test_the_delegator_leads_there(proxy: Proxy) -> None:
    page = get(proxy.linker.admin_port, "localhost", "/delegator").body.decode()
    link = re.search(r'href="(explain[^"]*)"', page)
    assert link is not None
    assert get(proxy.linker.admin_port, "localhost", f"/{link[1]}", BROWSER).status == 200


def test_a_table_that_doubles_at_each_step_costs_little(proxy: Proxy) -> None:
    """A page of another site may lead a browser there, and requests wait meanwhile."""
    doubling = " ; ".join(f"/a{at} => /a{at + 1} & /a{at + 1}" for at in range(40))
    reply = ask(proxy, router="out", path="/svc/web", dtab=f"{doubling} ; /svc => /a0")
    assert reply.status == 200
    assert len(reply.body) < 500_000
    assert b"\n" not in reply.body.rstrip()
    assert b"\n  " in ask(proxy, router="out", path="/svc/web").body
