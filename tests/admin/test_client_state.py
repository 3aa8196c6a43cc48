"""What is known of the addresses of clients, as JSON."""

import pytest

from meshproxy.admin.client_state import ClientAddr, client_state, merged
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.path import Path

ID = Path.parse("/#/io.l5d.fs/web")


@pytest.mark.parametrize(
    ("addr", "state", "addresses"),
    [
        (ADDR_NEG, "Neg", []),
        (ADDR_PENDING, "Pending", []),
        (AddrFailed("no such file"), "Failed: no such file", []),
        (AddrBound(frozenset()), "bound", []),
        (
            AddrBound(frozenset({Address("::1", 80), Address("10.0.0.2", 80)})),
            "bound",
            ["10.0.0.2:80", "[::1]:80"],
        ),
    ],
)
def test_a_client_has_a_state_and_addresses(addr: Addr, state: str, addresses: list[str]) -> None:
    shown = client_state([ClientAddr(ID, addr)])
    assert shown == {"/#/io.l5d.fs/web": {"state": state, "addresses": addresses}}


def test_several_are_one_that_has_the_addresses_of_all() -> None:
    neg, pending = {"state": "Neg", "addresses": []}, {"state": "Pending", "addresses": []}
    one, two = ({"state": "bound", "addresses": [address]} for address in ("b:1", "a:1"))
    found = merged([{"/z": neg, "/b": one}, {"/b": pending, "/a": neg}, {"/b": two, "/a": one}])
    assert list(found) == ["/a", "/b", "/z"]
    assert found["/a"] == one
    assert found["/b"] == {"state": "bound", "addresses": ["a:1", "b:1"]}
    assert found["/z"] == neg
