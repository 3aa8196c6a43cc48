"""Addresses and their metadata."""

import pytest

from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
    merged,
)


def test_metadata_is_found_by_its_key() -> None:
    address = Address("10.0.0.1", 80, meta=(("nodeName", "n1"), ("zone", "z")))
    assert address.get("zone") == "z"
    assert address.get("authority") is None


def test_sets_of_addresses_are_equal_whatever_their_order() -> None:
    one, two = Address("10.0.0.1", 80), Address("10.0.0.2", 80)
    assert AddrBound(frozenset([one, two])) == AddrBound(frozenset([two, one]))
    assert AddrBound(frozenset([one])) != AddrBound(frozenset([Address("10.0.0.1", 81)]))
    assert AddrBound(frozenset([one])) != AddrBound(frozenset([one]), "a.test")


def addresses(*found: tuple[str, int]) -> AddrBound:
    return AddrBound(frozenset(Address(*each) for each in found))


@pytest.mark.parametrize(
    ("addrs", "expected"),
    [
        ((), addresses()),
        ((ADDR_PENDING, ADDR_NEG), ADDR_PENDING),
        ((ADDR_NEG, AddrFailed("x")), AddrFailed("x")),
        ((ADDR_NEG, ADDR_NEG), ADDR_NEG),
        ((ADDR_PENDING, addresses(("a", 1)), AddrFailed("x")), addresses(("a", 1))),
        ((addresses(("a", 1)), addresses(("b", 2))), addresses(("a", 1), ("b", 2))),
    ],
)
def test_what_is_bound_counts(addrs: tuple[Addr, ...], expected: Addr) -> None:
    assert merged(addrs) == expected
