"""Where an API is, as its watches see it."""

from contextlib import closing

import pytest

from meshproxy.discovery.watching.failure import ApiFailure
from meshproxy.discovery.watching.location import Location
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.var import Var

HERE, THERE = Address("10.0.0.1", 80), Address("10.0.0.2", 80)


def at(*addresses: Address) -> Addr:
    return AddrBound(frozenset(addresses))


def test_who_asks_an_address_that_is_gone_is_told_while_it_asks() -> None:
    moves: list[str] = []
    where = Var(at(HERE))
    with closing(Location(where, "api", lambda: moves.append("moved"))) as location:
        assert set(location.addresses(0.0)) == {HERE}
        assert not location.has_moved
        location.peer = HERE
        where.set(at(HERE, THERE))
        assert not location.has_moved
        where.set(at(THERE))
        assert location.has_moved
        assert moves == []
        location.is_busy = True
        where.set(at())
        where.set(ADDR_NEG)
        assert moves == []
        where.set(at(THERE))
        assert moves == ["moved"]
    where.set(at(Address("10.0.0.3", 80)))
    assert moves == ["moved"]


@pytest.mark.parametrize(
    ("addr", "why"), [(ADDR_PENDING, "api is not resolved yet"), (AddrFailed("no zone"), "no zone")]
)
def test_without_addresses_it_says_why(addr: Addr, why: str) -> None:
    location = Location(Var(addr), "api", lambda: None)
    with closing(location), pytest.raises(ApiFailure, match=why):
        location.addresses(0.001)


def test_a_name_without_addresses_has_none() -> None:
    with closing(Location(Var(ADDR_NEG), "api", lambda: None)) as location:
        assert not location.addresses(0.0)
