"""Everything that decides where a request goes, as one JSON object, for `/explain` and the command.

The tree in it is that of `/delegator.json`, with the place of each rule and the prefix of the namer
or transformer that gave an answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from meshproxy.admin.delegating import delegated
from meshproxy.admin.delegation_tree import delegation_tree, ends
from meshproxy.admin.settings import client_of, settings_of
from meshproxy.client.endpoint import show
from meshproxy.config.routers import RouterConfig
from meshproxy.errors import ProxyError
from meshproxy.http import l5d
from meshproxy.http.message import Request
from meshproxy.naming.addr import AddrBound, AddrFailed, AddrPending
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Delegation, Step, dead_ends
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import Alt, Leaf, NameTree, Union
from meshproxy.naming.path import Path
from meshproxy.router.client import Client
from meshproxy.router.egress import Gate
from meshproxy.var import Activity, Ok, Pending

MAX_CLIENTS: Final = 100
"""Bound names that are shown of one name."""
MAX_ENDPOINTS: Final = 100


class Explainable(NamedTuple):
    """A router as it is asked."""

    config: RouterConfig
    identify: Callable[[Request], Path]
    delegate: Callable[[Dtab, Path], Activity[Delegation]]
    gate: Gate | None
    clients: Callable[[], Sequence[Client]]
    failing: Callable[[], list[str]] = list
    """Returns a line for each discovery system that fails, as it may know less than there is."""


class Asked(NamedTuple):
    """A question about a name, or about a request and the name that it gets."""

    path: Path | None
    request: Request | None
    override: Dtab
    """Entries after those of the router."""


def explain(router: Explainable, asked: Asked, seconds: float) -> dict[str, Any]:
    """Returns the explanation, with what is known after *seconds*.

    Raises RecursionError if the tree is too deep to be shown.
    """
    path, override, request = asked.path, asked.override, asked.request
    identified: dict[str, Any] | None = None
    if request is not None:
        name, local, error = _identified(router, request)
        override += local
        identified = {
            "method": request.method.decode("ascii"),
            "host": (request.headers.get(b"host") or b"").decode("latin-1"),
            "target": request.target.decode("latin-1"),
            "name": None if name is None else name.show(),
            "error": error,
        }
        path = path or name
    shown: dict[str, Any] = {
        "router": router.config.name,
        "path": None if path is None else path.show(),
        "request": identified,
        "override": override.show(),
        "bound": False,
        "pending": [],
        "why": [],
        "clients": [],
        "tree": None,
    }
    if path is None:
        return shown
    with delegated(router.delegate(router.config.dtab + override, path), seconds) as found:
        shown |= _resolved(router, path, request, found)
    return shown


def _identified(router: Explainable, request: Request) -> tuple[Path | None, Dtab, str | None]:
    """Returns the name of *request*, the table that came with it, or why it gets none."""
    copy = Request(request.method, request.target, request.version, request.headers.copy())
    copy.scheme = request.scheme
    try:
        local = l5d.take_dtab(copy.headers) or Dtab()
        return router.identify(copy), local, None
    except ProxyError as error:
        return None, Dtab(), str(error)


def _resolved(
    router: Explainable, path: Path, request: Request | None, found: Delegation | None
) -> dict[str, Any]:
    service = {"settings": settings_of(router.config.service.rules, path)}
    if found is None:
        pending = {"pending": [path.show()], "why": ["the interpreter has not answered yet"]}
        return {"service": service, "tree": None, "clients": [], **pending}
    state = found.state
    leaves = list(_leaves(state.value)) if isinstance(state, Ok) else []
    clients = [_client(router, path, request, *leaf) for leaf in leaves[:MAX_CLIENTS]]
    root = found.root
    return {
        "bound": any(one["endpoint_count"] for one in clients),
        "pending": [_name_of(end, path) for end in ends(root) if isinstance(end.state, Pending)],
        "why": [one.show() for one in dead_ends(root)],
        "failing": router.failing(),
        "service": service,
        "egress": _egress(router.gate, path, request),
        "clients": clients,
        "client_count": len(leaves),
        "tree": delegation_tree(root, path, is_detailed=True),
    }


def _name_of(step: Step, path: Path) -> str:
    return (step.by or step.name or path).show()


def _leaves(tree: NameTree[Bound], share: float = 1.0) -> Iterator[tuple[Bound, float]]:
    """Yields the bound names of *tree* with their shares of the requests."""
    match tree:
        case Leaf(bound):
            yield bound, share
        case Union(members):
            total = sum(one.weight for one in members) or 1.0
            for weight, member in members:
                yield from _leaves(member, share * weight / total)
        case Alt(trees):
            for one in trees:
                yield from _leaves(one, share)


def _client(
    router: Explainable, path: Path, request: Request | None, bound: Bound, share: float
) -> dict[str, Any]:
    running = next((one for one in router.clients() if one.id == bound.id), None)
    addr = bound.addr.sample()
    addresses = sorted(addr.addresses, key=show) if isinstance(addr, AddrBound) else []
    state = "neg"
    if isinstance(addr, AddrBound):
        state = "bound"
    elif isinstance(addr, AddrFailed):
        state = f"failed: {addr.why}"
    elif isinstance(addr, AddrPending):
        state = "pending"
    known: Mapping[str, Mapping[str, Any]] = {}
    if running is not None:
        known = {one.name: one.describe() for one in running.endpoints()}
    endpoints: list[dict[str, Any]] = [
        {"address": show(one), "weight": one.weight, **known.get(show(one), {})}
        for one in addresses[:MAX_ENDPOINTS]
    ]
    if router.gate is not None:
        for one, address in zip(endpoints, addresses, strict=False):
            one["egress"] = router.gate.judge(path, request, bound, address).describe()
    return {
        "id": bound.id.show(),
        "residual": bound.residual.show(),
        "share": round(share, 6),
        "addr": state,
        "endpoint_count": len(addresses),
        "endpoints": endpoints,
        "is_running": running is not None,
        **client_of(router.config, bound.id),
    }


def _egress(gate: Gate | None, path: Path, request: Request | None) -> dict[str, Any] | None:
    return None if gate is None else gate.judge(path, request).describe()
