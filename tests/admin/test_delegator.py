"""Questions about names, and how they are refused."""

import json
from typing import Any

import pytest

from meshproxy.admin import delegator
from meshproxy.admin.delegator import Delegator, delegator_json, delegator_page
from meshproxy.admin.pages import AdminRequest, AdminResponse
from meshproxy.naming.addr import ADDR_PENDING, Addr, AddrBound
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Delegation, Step
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Activity, Ok, Source, State, Var

OWN = Dtab.parse("/svc => /own")
NEGATIVE: State[NameTree[Bound]] = Ok(NEG)


class Asked:
    """A router that comes to *state* for every name, and remembers the questions."""

    def __init__(self, state: State[NameTree[Bound]] = NEGATIVE) -> None:
        self.questions: list[tuple[str, str]] = []
        root = Step()
        root.state = state
        self.delegation: Activity[Delegation] = Var(Ok(Delegation(root, state)))

    def delegate(self, dtab: Dtab, path: Path) -> Activity[Delegation]:
        self.questions.append((dtab.show(), path.show()))
        return self.delegation

    def get(self, query: str) -> AdminResponse:
        return self.send(AdminRequest.of("GET", f"/delegator.json?{query}"))

    def post(self, body: Any, content_type: str = "application/json") -> AdminResponse:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(AdminRequest("POST", "/delegator.json", {}, text, content_type))

    def send(self, request: AdminRequest) -> AdminResponse:
        routers = {"http": Delegator(OWN, self.delegate), "mute": Delegator(OWN, None)}
        return delegator_json(routers)(request)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_a_name_is_followed_through_the_table_given_or_the_router_s(asked: Asked) -> None:
    assert json.loads(asked.get("namespace=http&path=/svc/a").body) == {
        "type": "neg",
        "path": "/svc/a",
    }
    asked.get("namespace=http&path=/svc/a&dtab=/svc=>/other")
    asked.post({"namespace": "http", "path": "/b", "dtab": ""})
    assert asked.questions == [("/svc=>/own", "/svc/a"), ("/svc=>/other", "/svc/a"), ("", "/b")]


@pytest.mark.parametrize(
    ("query", "status", "why"),
    [
        ("path=/a", 400, b"Malformed delegation request: namespace is missing"),
        ("namespace=http", 400, b"Malformed delegation request: path is missing"),
        ("namespace=other&path=/a", 404, b"There is no router other"),
        ("namespace=mute&path=/a", 501, b"cannot tell its steps"),
        ("namespace=http&path=a", 400, b"Invalid path: "),
        ("namespace=http&path=/a&dtab=/a=>", 400, b"Invalid dtab: "),
        ("namespace=http&path=/a&dtab=" + "/a=>/b;" * 1001, 400, b"Invalid dtab: "),
    ],
)
def test_a_question_without_sense_is_refused(
    asked: Asked, query: str, status: int, why: bytes
) -> None:
    got = asked.get(query)
    assert (got.status, why in got.body, asked.questions) == (status, True, [])


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ({"namespace": "http", "path": "/a"}, "application/json; charset=utf-8", 200),
        ({"namespace": "http", "path": "/a"}, "text/plain", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 60000, "application/json", 400),
        ([], "application/json", 400),
        ({"namespace": "http", "path": 1}, "application/json", 400),
    ],
)
def test_what_is_posted_is_an_object_of_texts(
    asked: Asked, body: Any, content_type: str, status: int
) -> None:
    assert asked.post(body, content_type).status == status


def test_no_other_method_asks(asked: Asked) -> None:
    got = asked.send(AdminRequest("PUT", "/delegator.json"))
    assert (got.status, got.headers) == (405, (("Allow", "GET, HEAD, POST"),))


def test_a_name_that_is_not_decided_in_time_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegator, "WAIT_S", 0.01)
    got = Asked(PENDING).get("namespace=http&path=/a")
    assert (got.status, got.body) == (503, b"Request timed out.\n")


def test_addresses_are_waited_for_and_let_go() -> None:
    closed: list[bool] = []

    def start(emit: Any) -> Any:
        emit(AddrBound(frozenset()))
        return lambda: closed.append(True)

    addr: Var[Addr] = Source(start, ADDR_PENDING)
    got = Asked(Ok(Leaf(Bound(Path.parse("/a"), addr)))).get("namespace=http&path=/a")
    assert json.loads(got.body)["bound"]["addr"]["type"] == "bound"
    assert closed == [True]


def test_the_page_has_the_rules_of_its_router_and_escapes_them() -> None:
    page = delegator_page({"a": OWN, "<b>": Dtab.parse("/a => /b & /c")})
    first = page(AdminRequest.of("GET", "/delegator")).body.decode()
    assert "/svc =&gt; /own ;" in first
    assert 'data-router="a"' in first
    second = page(AdminRequest.of("GET", "/delegator?router=%3Cb%3E")).body.decode()
    assert 'data-router="&lt;b&gt;"' in second
    assert "/a =&gt; /b &amp; /c ;" in second
    assert "<b>" not in second


def test_the_page_of_no_router_is_not_found() -> None:
    page = delegator_page({"a": OWN})
    assert page(AdminRequest.of("GET", "/delegator?router=b")).status == 404
    assert page(AdminRequest("POST", "/delegator")).status == 405
