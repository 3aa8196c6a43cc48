"""The addresses of all clients and the connections to each, as JSON.

linkerd: linkerd/admin/.../ClientStateHandler.scala; connections are added.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from meshproxy.client.endpoint import show
from meshproxy.client.transport import ConnectionCounts
from meshproxy.naming.addr import Addr, AddrBound, AddrFailed, AddrNeg
from meshproxy.naming.path import Path


class ClientAddr(NamedTuple):
    """A client's bound id, and what is known about its addresses."""

    id: Path
    addr: Addr
    counts: Mapping[str, ConnectionCounts]
    """Open connections by the address of the endpoint."""


def client_state(clients: Iterable[ClientAddr]) -> dict[str, Any]:
    """Returns state, addresses and connections by bound id, for all routers together."""
    return merged({one.id.show(): _shown(one)} for one in clients)


def merged(states: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merges several of these: addresses and connections are added up, the first state counts."""
    found: dict[str, Any] = {}
    for state in states:
        for bound_id, one in state.items():
            before = found.get(bound_id)
            if before is None or not before["addresses"]:
                found[bound_id] = one if before is None or one["addresses"] else before
            else:
                both = {*before["addresses"], *one["addresses"]}
                connections = _sum(before["connections"], one["connections"])
                found[bound_id] = before | {"addresses": sorted(both), "connections": connections}
    return dict(sorted(found.items()))


def _shown(client: ClientAddr) -> dict[str, Any]:
    connections = {name: counts.describe() for name, counts in client.counts.items()}
    match client.addr:
        case AddrBound(addresses):
            state, shown = "bound", sorted(map(show, addresses))
        case AddrFailed(why):
            state, shown = f"Failed: {why}", []
        case AddrNeg():
            state, shown = "Neg", []
        case _:
            state, shown = "Pending", []
    return {"state": state, "addresses": shown, "connections": connections}


def _sum(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Adds up the connections to each address; None counts as 0 beside a number."""
    found = dict(some)
    for address, counts in others.items():
        before = found.get(address)
        found[address] = counts if before is None else _added(before, counts)
    return dict(sorted(found.items()))


def _added(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> dict[str, int | None]:
    return {
        name: None
        if one[name] is None and other[name] is None
        else (one[name] or 0) + (other[name] or 0)
        for name in one
    }
