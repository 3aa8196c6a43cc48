"""Rules asked about requests: what is remembered, what is left, and what is counted once."""

from dataclasses import dataclass
from functools import partial

import pytest

from meshproxy.config.load import load
from meshproxy.errors import Forbidden, LoopDetected, ProxyError
from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response, text_response
from meshproxy.http.peer import Certificate
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, Addr, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.router.egress import Gate, JudgedPath
from meshproxy.router.passage import RateLimited, Refusal
from meshproxy.var import Var
from tests.kit.effort import lines_run
from tests.kit.messages import request

CONFIG = "routers: [{{protocol: http, servers: [{{port: 0}}], egress: {{{}}}}}]"
NAME = Path.parse("/svc/web")
NOWHERE: Var[Addr] = Var(ADDR_NEG)


@dataclass
class Sender:
    """Who sends a request."""

    remote: str = "10.0.0.9:5000"
    local: str = "127.0.0.1:4140"
    certificate: Certificate | None = None


class Subject(Gate):
    """A gate whose requests are served by noting them."""

    def __init__(self, text: str, before: "Subject | None" = None) -> None:
        egress = load(CONFIG.format(text), "test.yaml").routers[0].egress
        assert egress is not None
        self.tree = before.tree if before is not None else Tree()
        super().__init__(egress, self.tree, before)
        self.keys: list[JudgedPath] = []
        self.error: ProxyError | None = None
        self.ending: Ending | None = None

    def ask(self, asked: Request | None = None, name: Path = NAME) -> Request:
        asked = asked or request()
        asked.peer = asked.peer or Sender()
        self.serve(name, asked, self._note)
        return asked

    def _note(self, key: JudgedPath, asked: Request) -> Response:
        self.keys.append(key)
        if self.error is not None:
            raise self.error
        if asked.egress is not None and key[2].policy.first_to_allow is not None:
            asked.egress.enter([key[2].policy.first_to_allow])  # type: ignore[union-attr]
        response = text_response(200, "ok")
        response.ending = self.ending
        return response

    def count(self, *names: str) -> float:
        return self.tree.counter("egress", *names).value


def test_requests_that_are_alike_are_judged_once_and_share_a_key() -> None:
    gate = Subject("rules: [{name: a, action: deny, method: PUT}]")
    for _ in range(2):
        gate.ask()
    assert gate.keys[0][2] is gate.keys[1][2]
    gate.ask(request(method=b"POST"))
    assert gate.keys[2][2] is gate.keys[0][2], "the method leaves the same rules open"
    with pytest.raises(Forbidden):
        gate.ask(request(method=b"PUT"))
    assert [gate.count("allowed"), gate.count("denied"), gate.count("rule", "a", "denied")] == [
        3,
        1,
        1,
    ]


def test_a_dtab_of_the_request_keeps_the_rules_for_other_hosts() -> None:
    gate = Subject("default: deny, rules: [{name: w, action: allow, host: [web, a.test]}]")
    asked = request()
    asked.local_dtab = Dtab.parse("/x => /y")
    gate.ask(asked)
    (_, dtab, policies) = gate.keys[0]
    assert dtab is asked.local_dtab
    kept = {}
    for host in ("a.test", "b.test", "web"):
        leaf = Path.parse(f"/$/io.buoyant.rinet/80/{host}")
        bound = Bound(leaf, NOWHERE, chosen_by=ChosenBy.REQUEST, is_steered=True)
        kept[host] = not isinstance(gate.at_bound(bound, policies), Refusal)
    assert kept == {"a.test": True, "b.test": False, "web": True}
    unsteered = Bound(Path.parse("/$/inet/b.test/80"), NOWHERE, chosen_by=ChosenBy.REQUEST)
    assert not isinstance(gate.at_bound(unsteered, policies), Refusal)


@pytest.mark.parametrize(
    ("bound_id", "is_refused"),
    [
        ("/$/inet/web/80", False),
        ("/$/inet/web/443", True),
        ("/$/inet/443", True),
        ("/$/fixedinet/web/443", True),
        ("/$/io.buoyant.rinet/443/web", True),
        ("/$/io.buoyant.rinet/https/web", False),
        ("/%/io.l5d.port/80/$/inet/web/443", False),
        ("/#/io.l5d.fs/web", False),
        ("/$/inet/0x7f.1/80", True),
    ],
)
def test_a_bound_name_tells_the_port_where_nobody_has_to_be_asked(
    bound_id: str, is_refused: bool
) -> None:
    gate = Subject("rules: [{name: no, action: deny, port: 443}]")
    gate.ask()
    bound = Bound(Path.parse(bound_id), NOWHERE, chosen_by=ChosenBy.REQUEST)
    assert isinstance(gate.at_bound(bound, gate.keys[0][2]), Refusal) is is_refused


def test_a_limit_ends_with_the_request_and_lives_on_over_a_reload() -> None:
    text = "rules: [{name: a, action: allow, limit: {requestsPerSecond: 0.01, burst: 3}}]"
    gate = Subject(text)
    gate.ask()
    heir = Subject(text, gate)
    heir.ask()
    heir.ask()
    with pytest.raises(RateLimited) as caught:
        heir.ask()
    assert caught.value.fields == ((b"Retry-After", b"100"),)
    other = Subject(text.replace("burst: 3", "burst: 1"), heir)
    assert other.ask().egress is not None
    busy = Subject("rules: [{name: a, action: allow, limit: {concurrent: 1}}]")
    busy.ask()
    busy.error = LoopDetected("round")
    with pytest.raises(LoopDetected):
        busy.ask()
    busy.error = None
    assert busy.ask().egress is not None
    busy.ending = Ending()
    busy.ask()
    with pytest.raises(RateLimited):
        busy.ask()
    busy.ending.come(broken=False)
    busy.ask()  # the end came while the response was held back
    assert busy.ask().egress is not None


def test_a_loop_is_a_denial_by_no_rule() -> None:
    gate = Subject("")
    gate.error = LoopDetected("round")
    asked = request()
    with pytest.raises(LoopDetected):
        gate.ask(asked)
    assert asked.egress is not None
    assert (asked.egress.decision, asked.egress.rule) == ("deny", None)
    assert (gate.count("denied"), gate.count("reason", "address")) == (1, 0)


def test_the_caller_is_who_the_rule_knows() -> None:
    names = (("email", "x"), ("DNS", "b.test"), ("URI", "spiffe://a/b"))
    sender = Sender(certificate=Certificate(b"", (), names))
    callers = {}
    for written in ("'uri:spiffe://a/*'", "10.0.0.0/8", "'dns:b.*'"):
        asked = request()
        asked.peer = sender
        gate = Subject(f"default: deny, rules: [{{name: a, action: allow, from: {written}}}]")
        made = gate.ask(asked).egress
        assert made is not None
        callers[written] = made.caller
    assert list(callers.values()) == ["uri:spiffe://a/b", "dns:b.test", "dns:b.test"]
    asked = request()
    asked.peer = Sender("[fd00::1]:80")
    made = Subject("").ask(asked).egress
    assert made is not None
    assert made.show() == "allow by default, for fd00::1"


def test_what_is_left_of_other_rules_is_not_known() -> None:
    gate, other = Subject("default: deny, rules: [{name: a, action: allow}]"), Subject("")
    gate.ask()
    left = gate.keys[0][2].policy
    assert (gate.knows((left,)), other.knows((left,))) == (True, False)


def test_a_thousand_rules_cost_a_request_as_much_as_one() -> None:
    one = "default: deny, rules: [{name: a, action: allow, host: web}]"
    many = ", ".join(f"{{name: r{at}, action: deny, host: h{at}.test}}" for at in range(1000))
    costs = []
    for text in (one, one.replace("rules: [", f"rules: [{many}, ")):
        gate = Subject(text)
        gate.ask()
        asked = request()
        asked.peer = Sender()
        costs.append(lines_run(partial(gate.serve, NAME, asked, lambda *_: text_response(200, ""))))
    assert costs[0] == costs[1] < 80


# --- asked, not served ---


def test_a_judgement_that_is_only_asked_for_counts_nothing() -> None:
    gate = Subject("rules: [{name: a, action: allow, host: web}], default: deny")
    other = request()
    other.headers.set(b"Host", b"other")
    assert gate.judge(NAME).describe()["decision"] == "depends"
    denied = {"decision": "deny", "rule": "default", "reported": []}
    assert gate.judge(NAME, other).describe() == denied
    assert gate.judge(NAME, other, Bound(Path.of("#", "fs", "web"), NOWHERE)).describe() == denied
    assert [gate.count("allowed"), gate.count("denied")] == [0, 0]


def test_an_address_is_judged_by_its_class() -> None:
    gate = Subject("rules: [{name: a, action: allow, host: web}]")
    bound = Bound(Path.of("#", "fs", "web"), NOWHERE, chosen_by=ChosenBy.REQUEST)
    found = [
        gate.judge(NAME, request(), bound, Address(host, 80)).describe()["decision"]
        for host in ("10.0.0.1", "169.254.169.254")
    ]
    assert found == ["allow", "deny"]
