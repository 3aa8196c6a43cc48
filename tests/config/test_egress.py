"""Egress rules as they are written, and what is wrong with them, at its place."""

import re
from pathlib import Path

import pytest

from meshproxy.config.egress import EgressConfig
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import read
from meshproxy.egress.limiter import Limit

CONFIG = """\
routers:
- protocol: http
  egress:
    {egress}
  servers: [{{port: 0}}]
"""


def egress(text: str, file: str = "test.yaml") -> EgressConfig:
    found = read(CONFIG.format(egress=text), file).config.routers[0].egress
    assert found is not None
    return found


def refused(text: str, file: str = "test.yaml") -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        egress(text, file)
    return [str(error) for error in caught.value.errors]


def test_the_rules_of_the_reference_are_read() -> None:
    found = egress("""default: deny
    rules:
    - {name: no-admin-ports, action: deny, port: [22, "6000-6999"]}
    - name: payments
      action: allow
      host: [api.bank.test, "*.pay.test", "!old.pay.test"]
      port: 443
      method: [CONNECT, GET, POST]
      from: ["uri:spiffe://prod/ns/pay/*", 10.3.0.0/16]
      limit: {requestsPerSecond: 50, burst: 100, concurrent: 20, per: caller}
    - {name: git, action: allow, host: git.corp.test, to: private, client: /$/inet/Git.Test}
    - {name: trial, action: report, host: "*.ads.test"}""")
    rules = [one.rule for one in found.policy().rules]
    assert [rule.name for rule in rules] == [
        "no-admin-ports",
        "payments",
        "git",
        "trial",
        "default",
    ]
    assert rules[1].limit == Limit(50, 100, 20, by_caller=True)
    assert rules[2].client is not None
    assert rules[2].client.items[0].entry.prefix.text == "/$/inet/git.test"


def test_braces_are_enough_and_nothing_is_a_mistake() -> None:
    assert [one.rule.name for one in egress("{}").policy().rules] == ["default"]
    (error,) = refused("")
    assert error.startswith("test.yaml:3:3: routers[0].egress: has no value")


ALLOW = "name: a, action: allow"


@pytest.mark.parametrize(
    ("rule", "place", "what"),
    [
        ("action: allow", "rules[0].name", "is missing"),
        ("name: a", "rules[0].action", "is missing"),
        ("name: default, action: deny", "rules[0].name", "write another"),
        ("name: a b, action: deny", "rules[0].name", "no name of a rule"),
        (f"name: {'a' * 65}, action: deny", "rules[0].name", "1 to 64"),
        ("name: a, action: log", "rules[0].action", "'log' is not known"),
        (f"{ALLOW}, hosts: a.test", "rules[0].hosts", "unknown key, it is host"),
        (f"{ALLOW}, hst: a.test", "rules[0].hst", "did you mean host?"),
        (f"{ALLOW}, host: ", "rules[0].host", "has no value"),
        (f"{ALLOW}, host: []", "rules[0].host", "empty list"),
        (f"{ALLOW}, host: [a.test, '']", "rules[0].host[1]", "found nothing"),
        (f"{ALLOW}, host: '!a.test'", "rules[0].host", "takes away from nothing: write '*'"),
        (f"{ALLOW}, host: [a.test, b.*.test]", "rules[0].host[1]", "at the beginning"),
        (f"{ALLOW}, host: 'a.test:443'", "rules[0].host", "write host: a.test and port: 443"),
        (f"{ALLOW}, host: bücher.test", "rules[0].host", "xn--bcher-kva.test"),
        (f"{ALLOW}, to: intern", "rules[0].to", "not a class"),
        (f"{ALLOW}, to: 10.0.0.1/8", "rules[0].to", "write 10.0.0.0/8"),
        (f"{ALLOW}, to: '!private'", "rules[0].to", "write 0.0.0.0/0"),
        (f"{ALLOW}, from: a.test", "rules[0].from", "or dns: or uri:"),
        (f"{ALLOW}, port: https", "rules[0].port", "not a port"),
        (f"{ALLOW}, service: svc", "rules[0].service", "not a path prefix"),
        (f"{ALLOW}, method: 'GET,PUT'", "rules[0].method", "not a method"),
        (f"{ALLOW}, host: {{a: b}}", "rules[0].host", "expected a single value"),
        (f"{ALLOW}, limit: {{}}", "rules[0].limit", "limits nothing"),
        (f"{ALLOW}, limit: {{burst: 2}}", "rules[0].limit.burst", "needs requestsPerSecond"),
        (f"{ALLOW}, limit: {{requestsPerSecond: 0}}", "limit.requestsPerSecond", "more than 0"),
        (f"{ALLOW}, limit: {{concurrent: 0}}", "limit.concurrent", "too small"),
        (f"{ALLOW}, limit: {{concurrent: 1, per: host}}", "limit.per", "'host' is not known"),
        ("name: a, action: deny, limit: {concurrent: 1}", "rules[0].limit", "allow only"),
        (f"{ALLOW}}}, {{name: a, action: deny", "rules[1].name", "name of rule 1 too"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(rule: str, place: str, what: str) -> None:
    errors = refused(f"rules: [{{{rule}}}]")
    assert [error for error in errors if place in error and what in error], errors
    assert all(re.match(r"test\.yaml:4:\d+: routers\[0\]\.egress\.", error) for error in errors)


@pytest.mark.parametrize("text", ["default:", "rules:", "rulesFile:"])
def test_a_key_without_a_value_is_no_default(text: str) -> None:
    (error,) = refused(text)
    assert error.startswith("test.yaml:4:5: ")
    assert "has no value" in error


def test_a_rule_that_others_hide_is_a_warning() -> None:
    text = """rules:
    - {name: tests, action: allow, host: "*.test"}
    - {name: hidden, action: deny, host: a.test, port: 22}
    - {name: seen, action: deny, host: a.example}"""
    found = read(CONFIG.format(egress=text), "test.yaml")
    (warning,) = found.warnings
    assert str(warning).startswith("test.yaml:6:7: routers[0].egress.rules[1]: never decides")
    assert "as tests before it is for all of that" in str(warning)


def test_a_file_of_rules_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("- {name: a, action: deny}\n")
    found = egress("rulesFile: rules.yaml", str(tmp_path / "test.yaml"))
    assert [one.rule.name for one in found.policy().rules] == ["a", "default"]
    (tmp_path / "rules.yaml").write_text("[]")
    assert len(egress("rulesFile: rules.yaml", str(tmp_path / "test.yaml")).policy().rules) == 1


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (b"", ["1:1: empty, write [] for an empty list"]),
        (b"# nothing\n", ["1:1: empty, write [] for an empty list"]),
        (b"rules: []", ["1:1: expected a list, found a mapping"]),
        (b"- {name: a, action: deny}\n- {name: a, action: alow}", ["2:21: [1].action: 'alow' is"]),
        (b"- {name: a, action: deny}\n- {name: a, action: deny}", ["2:4: [1].name: a is the name"]),
        (b"- {name: a", ["1:11: not YAML"]),
        (b"- {name: a, action: deny}\n---\n- {}", ["2:1: a second document"]),
    ],
)
def test_what_is_wrong_in_a_file_has_its_place_there(
    tmp_path: Path, text: bytes, errors: list[str]
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes(text)
    found = refused("rulesFile: rules.yaml", str(tmp_path / "test.yaml"))
    assert len(found) == len(errors)
    for one, start in zip(found, errors, strict=True):
        assert one.startswith(f"{file}:{start}"), one


def test_a_file_of_rules_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_bytes(b"\xff\xfe\xff")
    (error,) = refused("rulesFile: rules.yaml", str(tmp_path / "test.yaml"))
    assert "test.yaml:4:16: routers[0].egress.rulesFile: rules.yaml cannot be read" in error


def test_a_file_of_rules_that_is_not_there_is_missing(tmp_path: Path) -> None:
    text = CONFIG.format(egress="rulesFile: rules.yaml")
    (missing,) = read(text, str(tmp_path / "test.yaml")).missing
    assert "test.yaml:4:16: routers[0].egress.rulesFile: rules.yaml is not a file" in str(missing)


def test_rules_stand_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("[]")
    (error,) = refused("{rules: [], rulesFile: rules.yaml}", str(tmp_path / "test.yaml"))
    assert "rulesFile: cannot go with rules" in error
