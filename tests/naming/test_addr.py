"""Addresses and their metadata."""

from meshproxy.naming.addr import AddrBound, Address


def test_metadata_is_found_by_its_key() -> None:
    address = Address("10.0.0.1", 80, meta=(("nodeName", "n1"), ("zone", "z")))
    assert address.get("zone") == "z"
    assert address.get("authority") is None


def test_sets_of_addresses_are_equal_whatever_their_order() -> None:
    one, two = Address("10.0.0.1", 80), Address("10.0.0.2", 80)
    assert AddrBound(frozenset([one, two])) == AddrBound(frozenset([two, one]))
    assert AddrBound(frozenset([one])) != AddrBound(frozenset([Address("10.0.0.1", 81)]))
    assert AddrBound(frozenset([one])) != AddrBound(frozenset([one]), "a.test")
