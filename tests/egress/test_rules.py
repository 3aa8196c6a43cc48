"""Rules in order, judged by what is known so far."""

import pytest

from meshproxy.config.load import load
from meshproxy.egress.addresses import target_of
from meshproxy.egress.callers import Caller
from meshproxy.egress.rules import DEFAULT, EgressPolicy, Facts, Verdict
from meshproxy.naming.path import Path

CONFIG = """
routers:
- protocol: http
  egress:
    default: {default}
    rules: [{rules}]
  servers: [{{port: 0}}]
"""
KNOWN_FIRST = {
    "service": Path.parse("/svc/a.test"),
    "method": b"GET",
    "caller": Caller("192.168.0.1"),
}


def policy(default: str, *rules: str) -> EgressPolicy:
    text = CONFIG.format(default=default, rules=", ".join(f"{{{rule}}}" for rule in rules))
    egress = load(text, "test.yaml").routers[0].egress
    assert egress is not None
    return egress.policy()


def asked(judging: EgressPolicy, host: str = "a.test", **more: object) -> EgressPolicy:
    return judging.given(Facts(host=host, **{**KNOWN_FIRST, **more}))


def bound(
    judging: EgressPolicy, *, is_guarded: bool = True, name: str = "/$/inet/a.test/443"
) -> EgressPolicy:
    return judging.given(Facts(client=Path.parse(name), port=443, is_guarded=is_guarded))


def ends(judging: EgressPolicy, address: str) -> tuple[bool, str | None, tuple[str, ...]]:
    verdict = judging.given(Facts(target=target_of(address))).verdict()
    assert verdict is not None
    return verdict.is_allowed, verdict.rule and verdict.rule.name, verdict.reported


ALLOW_A = "name: a, action: allow, host: a.test"
NO_PRIVATE = "name: no-private, action: deny, to: private"


@pytest.mark.parametrize(
    ("default", "rules", "address", "end"),
    [
        ("allow", [], "8.8.8.8", (True, DEFAULT)),
        ("allow", [], "10.0.0.1", (True, DEFAULT)),
        ("allow", [], "127.0.0.1", (False, None)),
        ("report", [], "169.254.169.254", (False, None)),
        ("deny", [ALLOW_A], "8.8.8.8", (True, "a")),
        ("deny", [ALLOW_A], "169.254.169.254", (False, None)),
        ("deny", [ALLOW_A, "name: lo, action: allow, to: loopback"], "::1", (True, "lo")),
        ("allow", [ALLOW_A, "name: no, action: deny"], "::1", (False, "no")),
        ("allow", [NO_PRIVATE], "10.0.0.1", (False, "no-private")),
        ("allow", [NO_PRIVATE], "8.8.8.8", (True, DEFAULT)),
        ("deny", [NO_PRIVATE, ALLOW_A], "10.0.0.1", (False, "no-private")),
        ("deny", [ALLOW_A, NO_PRIVATE], "10.0.0.1", (True, "a")),
        ("deny", ["name: p, action: allow, to: private"], "8.8.8.8", (False, DEFAULT)),
        ("deny", ["name: p, action: allow, to: private"], "10.0.0.1", (True, "p")),
        ("allow", ["name: p, action: deny, port: 443"], "8.8.8.8", (False, "p")),
        ("allow", ["name: p, action: deny, port: 80"], "8.8.8.8", (True, DEFAULT)),
    ],
)
def test_the_first_that_applies_decides(
    default: str, rules: list[str], address: str, end: tuple[bool, str | None]
) -> None:
    assert ends(bound(asked(policy(default, *rules))), address)[:2] == end


def test_what_the_operator_wrote_may_be_of_any_class() -> None:
    judging = bound(
        asked(policy("allow", "name: no, action: deny, to: 10.0.0.0/8")), is_guarded=False
    )
    assert ends(judging, "127.0.0.1") == (True, DEFAULT, ())
    assert ends(judging, "10.0.0.1") == (False, "no", ())


def test_what_no_open_rule_can_allow_is_decided_before_anything_is_looked_up() -> None:
    judging = policy(
        "deny", ALLOW_A, "name: p, action: allow, host: b.test, method: PUT", NO_PRIVATE
    )
    assert asked(judging).verdict() is None
    for host, more in (("b.test", {}), ("c.test", {}), ("", {})):
        verdict = asked(judging, host, **more).verdict()
        assert verdict is not None
        assert not verdict.is_allowed
    assert asked(judging, "b.test", method=b"PUT").verdict() is None


def test_the_bound_name_and_its_port_can_decide() -> None:
    judging = asked(
        policy(
            "deny",
            "name: p, action: allow, client: /#/io.l5d.fs",
            "name: q, action: allow, port: 80",
        )
    )
    assert judging.verdict() is None
    verdict = bound(judging).verdict()
    assert verdict is not None
    assert not verdict.is_allowed
    assert bound(judging, name="/#/io.l5d.fs/web", is_guarded=False).verdict() is not None


def test_a_report_decides_nothing_and_tells_what_it_would_have_denied() -> None:
    trial = "name: trial, action: report, host: a.test"
    late = "name: late, action: report, to: public"
    assert ends(bound(asked(policy("allow", trial, late))), "8.8.8.8") == (
        True,
        DEFAULT,
        ("trial", "late"),
    )
    assert ends(bound(asked(policy("allow", trial, late))), "10.0.0.1") == (
        True,
        DEFAULT,
        ("trial",),
    )
    assert ends(bound(asked(policy("deny", ALLOW_A, trial))), "8.8.8.8") == (True, "a", ())
    assert ends(bound(asked(policy("report", ALLOW_A))), "8.8.8.8") == (True, "a", ())
    assert ends(bound(asked(policy("report"))), "8.8.8.8") == (True, DEFAULT, (DEFAULT,))


@pytest.mark.parametrize("others", [0, 40])
def test_a_rule_is_found_by_its_host_among_many(others: int) -> None:
    many = [f"name: r{at}, action: deny, host: h{at}.test" for at in range(others)]
    judging = policy(
        "deny",
        *many,
        "name: sub, action: allow, host: ['*.b.test', '!c.b.test']",
        ALLOW_A,
        "name: v6, action: allow, host: '[::1]'",
        "name: any, action: allow, method: PUT",
    )
    found = {
        host: [rule.name for rule, _ in asked(judging, host).rules]
        for host in ("a.test", "x.y.b.test", "c.b.test", "b.test", "::1", "h7.test", "")
    }
    assert found == {
        "a.test": ["a", DEFAULT],
        "x.y.b.test": ["sub", DEFAULT],
        "c.b.test": [DEFAULT],
        "b.test": [DEFAULT],
        "::1": ["v6", DEFAULT],
        "h7.test": ["r7"] if others else [DEFAULT],
        "": [DEFAULT],
    }
    assert [rule.name for rule, _ in asked(judging, "a.test", method=b"PUT").rules] == [
        "a",
        "any",
        DEFAULT,
    ]


def test_policies_that_judge_alike_are_equal_and_hash_alike() -> None:
    judging = policy("deny", "name: a, action: allow, host: '*.test', method: [GET, PUT]")
    one, other = asked(judging), asked(judging, "b.test", method=b"PUT")
    assert (one == other, hash(one) == hash(other)) == (True, True)
    assert one != judging
    assert one != asked(policy("deny", "name: a, action: allow, host: '*.test'"))
    assert one.first_to_allow is judging.rules[0].rule


@pytest.mark.parametrize(
    ("first", "second", "covers"),
    [
        ("action: deny", "action: allow, host: a.test", True),
        ("action: deny, host: '*.test'", "action: allow, host: a.test, port: 80", True),
        ("action: deny, host: a.test", "action: allow", False),
        ("action: report", "action: allow", False),
        ("action: allow, host: a.test", "action: deny, host: a.test, to: private", True),
        ("action: allow, host: a.test", "action: allow, host: a.test, to: loopback", False),
        ("action: allow, host: a.test", "action: allow, host: a.test, to: 127.0.0.1", False),
        ("action: deny, to: private", "action: allow, to: 10.1.0.0/16", True),
        ("action: deny, port: 80", "action: allow, port: [80, 81]", False),
    ],
)
def test_a_rule_behind_a_wider_one(first: str, second: str, covers: bool) -> None:
    judging = policy("allow", f"name: x, {first}", f"name: y, {second}")
    x, y, *_ = [rule for rule, _ in judging.rules]
    assert x.covers(y) is covers


def test_an_address_that_is_a_name_is_allowed_where_the_operator_chose_it_only() -> None:
    judging = asked(policy("allow", NO_PRIVATE))
    assert ends(bound(judging), "name.test") == (False, None, ())
    assert ends(bound(judging, is_guarded=False), "name.test") == (True, DEFAULT, ())


def test_a_verdict_is_none_while_it_may_still_be_allowed() -> None:
    judging = policy("allow", "name: p, action: deny, port: 443")
    assert judging.verdict() is None
    assert asked(judging).verdict() is None
    assert bound(asked(judging)).verdict() == Verdict(False, judging.rules[0].rule)
