"""What is known of the addresses of clients, as JSON."""

from typing import Any

import pytest

from meshproxy.admin.client_state import ClientAddr, client_state, merged
from meshproxy.client.transport import ConnectionCounts
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
    shown = client_state([ClientAddr(ID, addr, {})])
    one = {"state": state, "addresses": addresses, "connections": {}}
    assert shown == {"/#/io.l5d.fs/web": one}


def bound(address: str, **counts: ConnectionCounts) -> dict[str, Any]:
    connections = {name: each.describe() for name, each in counts.items()}
    return {"state": "bound", "addresses": [address], "connections": connections}


def test_several_are_one_that_has_the_addresses_of_all() -> None:
    neg, pending = (
        {"state": state, "addresses": [], "connections": {}} for state in ("Neg", "Pending")
    )
    one, two = bound("b:1"), bound("a:1")
    found = merged([{"/z": neg, "/b": one}, {"/b": pending, "/a": neg}, {"/b": two, "/a": one}])
    assert list(found) == ["/a", "/b", "/z"]
    assert found["/a"] == one
    assert found["/b"] == {"state": "bound", "addresses": ["a:1", "b:1"], "connections": {}}
    assert found["/z"] == neg


def test_connections_are_added_up_by_address() -> None:
    http, h2 = ConnectionCounts(3, 1, None), ConnectionCounts(2, 0, 150)
    client = client_state([ClientAddr(ID, AddrBound(frozenset()), {"a": http})])
    assert client[ID.show()]["connections"]["a"] == {"connections": 3, "idle": 1, "streams": None}
    one, other = bound("x:1", a=http, b=h2), bound("x:1", a=http, b=h2, c=http)
    found = merged([{"/x": one}, {"/x": other}])["/x"]["connections"]
    assert found["a"] == {"connections": 6, "idle": 2, "streams": None}
    assert found["b"] == {"connections": 4, "idle": 0, "streams": 300}
    assert found["c"] == http.describe()
