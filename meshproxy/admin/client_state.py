"""The address sets of all clients, and the names that can be bound, as JSON.

linkerd: linkerd/admin/.../{ClientStateHandler,BoundNamesHandler}.scala
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from meshproxy.client.endpoint import show
from meshproxy.naming.addr import Addr, AddrBound, AddrFailed, AddrNeg
from meshproxy.naming.path import Path


class ClientAddr(NamedTuple):
    """A client's bound id, and what is known about its addresses."""

    id: Path
    addr: Addr


def client_state(clients: Iterable[ClientAddr]) -> dict[str, Any]:
    """Returns state and addresses by bound id, for all routers together."""
    return merged({one.id.show(): _shown(one.addr)} for one in clients)


def merged(states: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merges several of these: addresses are added up, otherwise the first one counts."""
    found: dict[str, Any] = {}
    for state in states:
        for bound_id, one in state.items():
            before = found.get(bound_id)
            if before is None or not before["addresses"]:
                found[bound_id] = one if before is None or one["addresses"] else before
            else:
                both = {*before["addresses"], *one["addresses"]}
                found[bound_id] = before | {"addresses": sorted(both)}
    return dict(sorted(found.items()))


def _shown(addr: Addr) -> dict[str, Any]:
    match addr:
        case AddrBound(addresses):
            return {"state": "bound", "addresses": sorted(map(show, addresses))}
        case AddrFailed(why):
            return {"state": f"Failed: {why}", "addresses": []}
    return {"state": "Neg" if isinstance(addr, AddrNeg) else "Pending", "addresses": []}
