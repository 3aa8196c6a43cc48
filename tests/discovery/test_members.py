"""Endpoints by address and by host name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.hostname import literal
from meshproxy.discovery.members import Members
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.var import Var

META = (("zone", "z"),)
KNOWN: dict[str, Addr] = {
    "one.test": AddrBound(frozenset({Address("10.0.0.1", 80), Address("10.0.0.2", 80)})),
    "gone.test": ADDR_NEG,
    "slow.test": ADDR_PENDING,
    "bad.test": AddrFailed("no server"),
}


def resolve(host: str, port: str) -> Var[Addr]:
    assert port == "80"
    return Var(KNOWN[host])


def members(*hosts: str) -> Members:
    return Members.of(Address(host, 80, 2.0, META) for host in hosts)


def bound(*hosts: str, authority: str | None = None) -> AddrBound:
    return AddrBound(frozenset(Address(host, 80, 2.0, META) for host in hosts), authority)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ((), bound()),
        (("10.0.0.9",), bound("10.0.0.9")),
        (("::1", "[fd00::0:1]"), bound("::1", "fd00::1")),
        (("one.test", "10.0.0.9"), bound("10.0.0.1", "10.0.0.2", "10.0.0.9")),
        (("gone.test", "slow.test", "bad.test", "10.0.0.9"), bound("10.0.0.9")),
        (("gone.test", "slow.test"), ADDR_PENDING),
        (("gone.test",), ADDR_NEG),
        (("bad.test",), AddrFailed("no server")),
    ],
)
def test_names_stand_for_their_addresses(hosts: tuple[str, ...], expected: Addr) -> None:
    assert members(*hosts).addr(resolve).sample() == expected


@pytest.mark.parametrize("hosts", [("10.0.0.9",), ("one.test",)])
def test_an_authority_goes_with_them(hosts: tuple[str, ...]) -> None:
    addr = replace(members(*hosts), authority="web.service.consul").addr(resolve).sample()
    assert isinstance(addr, AddrBound)
    assert addr.authority == "web.service.consul"


def test_they_are_shown_in_order() -> None:
    assert members("one.test", "10.0.0.9").show() == [
        {"host": "10.0.0.9", "port": 80, "weight": 2.0, "meta": {"zone": "z"}},
        {"host": "one.test", "port": 80, "weight": 2.0, "meta": {"zone": "z"}},
    ]


def test_nobody_is_false() -> None:
    assert not members()
    assert members("one.test")
    assert members("10.0.0.9")


@given(
    st.ip_addresses().map(str)
    | st.from_regex(r"[0-9.]{1,12}|[a-f0-9:.]{1,12}|\[::1\]", fullmatch=True)
)
def test_addresses_are_told_from_names_as_everywhere(host: str) -> None:
    found = members(host)
    expected = literal(host)
    assert {each.host for each in found.literal} == ({expected} if expected else set())
    assert bool(found.named) is (expected is None)
