"""Who a rule is for, by address and by certificate."""

import pytest

from meshproxy.config.egress import EgressRuleConfig
from meshproxy.egress.callers import Caller, Callers, read_caller
from meshproxy.egress.entries import Item


def callers(*texts: str) -> Callers:
    items = [Item(read_caller(text.removeprefix("!")), text.startswith("!")) for text in texts]
    rule = EgressRuleConfig(name="x", action="deny", from_=tuple(items)).rule()
    assert rule.caller is not None
    return rule.caller


POD = Caller("10.3.0.1", ("uri:spiffe://prod/ns/pay/api", "dns:API.pay.test"))
LAPTOP = Caller("192.168.0.7")


@pytest.mark.parametrize(
    ("texts", "caller", "name"),
    [
        (["10.3.0.0/16"], POD, "10.3.0.1"),
        (["10.3.0.0/16"], LAPTOP, None),
        (["192.168.0.7"], LAPTOP, "192.168.0.7"),
        (["192.168.0.0/16"], Caller("::ffff:192.168.0.7"), "::ffff:192.168.0.7"),
        (["uri:spiffe://prod/*"], POD, "uri:spiffe://prod/ns/pay/api"),
        (["uri:spiffe://prod/*"], LAPTOP, None),
        (["uri:spiffe://prod/ns/pay/api"], POD, "uri:spiffe://prod/ns/pay/api"),
        (["uri:SPIFFE://prod/ns/pay/api"], POD, None),
        (["dns:*.pay.test"], POD, "dns:API.pay.test"),
        (["dns:api.PAY.test"], POD, "dns:API.pay.test"),
        (["dns:spiffe://prod/*"], POD, None),
        (["uri:*"], POD, "uri:spiffe://prod/ns/pay/api"),
        (["10.0.0.0/8", "!10.3.0.0/16"], POD, None),
        (["10.3.0.0/16", "!10.0.0.0/8"], POD, "10.3.0.1"),
        (["10.0.0.0/8", "!uri:spiffe://prod/*"], POD, None),
        (["uri:spiffe://prod/*", "!10.0.0.0/8"], POD, None),
        (["uri:spiffe://prod/*", "!uri:spiffe://prod/ns/pay/*"], POD, None),
        (["!uri:spiffe://prod/*", "uri:spiffe://prod/ns/pay/*"], POD, POD.names[0]),
        (["10.0.0.0/8"], Caller(""), None),
    ],
)
def test_who_is_meant(texts: list[str], caller: Caller, name: str | None) -> None:
    found = callers(*texts)
    assert (found.name_of(caller), found.matches(caller)) == (name, name is not None)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("10.0.0.1/8", r"write 10.0.0.0/8, or dns: or uri:"),
        ("a.test", "not an address"),
        ("email:a@b", "not an address"),
        ("dns:", "write a name"),
        ("dns:a.*.test", r"one `\*` at one end"),
        ("uri:*a*", r"one `\*` at one end"),
    ],
)
def test_who_cannot_be_meant(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        read_caller(text)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (["10.0.0.0/8"], ["10.1.0.0/16"], True),
        (["10.0.0.0/8"], ["11.0.0.0/16"], False),
        (["uri:a*"], ["uri:ab*", "uri:ac"], True),
        (["uri:a*"], ["uri:b"], False),
        (["uri:a*"], ["uri:*a"], False),
        (["uri:*"], ["10.0.0.0/8"], False),
        (["dns:*.test"], ["uri:x.test"], False),
    ],
)
def test_one_covers_another(wide: list[str], narrow: list[str], covers: bool) -> None:
    assert callers(*wide).covers(callers(*narrow)) is covers
