"""Spellings of hosts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.hostname import full_form, literal, why_refused


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("[::FFFF:a00:1]", "10.0.0.1"),
        ("::10.0.0.1", "::a00:1"),
        ("[10.0.0.1]", None),
        ("[fe80::1%eth0]", None),
        ("fe80::1%eth0", None),
        ("010.0.0.1", None),
        ("127.1", None),
        ("2130706433", None),
        ("0x7f000001", None),
        ("10.0.0.1.", None),
        ("web", None),
        ("", None),
    ],
)
def test_only_plain_literals_are_addresses(host: str, expected: str | None) -> None:
    assert literal(host) == expected


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "1", "2130706433", "017700000001", "0x7f000001", "0X7F.0.0.1", "0177.0.0.1",
        "1.2.3.4.5", "256.0.0.1", "10.0.0.1.", "1.2.3", "0x.1",
    ],
)  # fmt: skip
def test_a_disguised_address_is_not_looked_up(host: str) -> None:
    assert why_refused(host) == f"{host} is not an IPv4 address in dotted form"


@pytest.mark.parametrize(
    "host",
    [
        "a b", "a..b",
        ".a", "-a", "a-", "a/b", "a:80", "a%41", "[web]", "ünïcode", "a" * 64, "..", ".",
        ".".join(["abcdefgh"] * 29), "a\x00b", "a\n",
    ],
)  # fmt: skip
def test_no_host_name_is_not_looked_up(host: str) -> None:
    assert why_refused(host) == f"{host} is not a host name"


@pytest.mark.parametrize(
    "host", ["web", "web.", "a.b-c.d", "_srv.x", "1.web", "web.1a", "3com.com", "WWW.EXAMPLE.ORG"]
)
def test_a_host_name_may_be_looked_up(host: str) -> None:
    assert why_refused(host) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.1", "127.0.0.1"),
        ("10.2.3", "10.2.0.3"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.256", "127.256"),
        ("127.01", "127.01"),
        ("127", "127"),
        ("a.1", "a.1"),
    ],
)
def test_the_short_form_gets_its_zeros(host: str, expected: str) -> None:
    assert full_form(host) == expected


@given(st.text(max_size=40))
def test_any_text_is_judged(host: str) -> None:
    if literal(host) is None and why_refused(host) is None:
        assert host.isascii()
        assert not host.replace(".", "").isdigit()
