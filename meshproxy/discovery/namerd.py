"""Asks namerd's HTTP interface how names are bound and which addresses bound names have.

linkerd: namerd/iface/control-http/src/main/scala/io/buoyant/namerd/iface. Each answer is a stream
of JSON values, one a line, each of which replaces the one before.
"""

import random
from collections.abc import Callable, Generator
from math import isfinite
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import gevent

from meshproxy.discovery.hostname import can_stand_in_host, literal
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.decoding import (
    ITEM,
    Malformed,
    in_steps,
    items,
    load,
    member,
    shown,
)
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree, Neg, Union, Weighted
from meshproxy.naming.path import Path

T = TypeVar("T")

POLL_S: Final = 10.0
"""Poll interval of watches for which no stream is left."""
WEIGHT: Final = "endpoint_addr_weight"
AUTHORITY: Final = "authority"
_CONSTANTS: Final[dict[str, NameTree[Any]]] = {"neg": NEG, "fail": FAIL, "empty": EMPTY}


class BoundName(NamedTuple):
    """The end of a name: an id, whose addresses are asked for on their own, and the rest."""

    id: Path
    residual: Path


class Namerd:
    """Requests to one namerd about one of its namespaces."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self._namespace = quote(namespace, safe="")

    def bind(self, line: Line, dtab: str, path: Path) -> Generator[NameTree[BoundName], None, None]:
        """Yields what *path* is bound to by the namespace's dtab and *dtab* behind it."""
        yield from self._follow(line, "bind", {"path": path.show()}, {"dtab": dtab}, read_tree)

    def addr(self, line: Line, bound_id: Path) -> Generator[Addr, None, None]:
        """Yields the addresses of a bound id."""
        yield from self._follow(line, "addr", {"path": bound_id.show()}, {}, read_addr)

    def _follow(
        self,
        line: Line,
        question: str,
        query: dict[str, str],
        more: dict[str, str],
        read: Callable[[bytes], T],
    ) -> Generator[T, None, None]:
        with self.api.place() as has_place:
            watch = {"watch": "1"} if has_place else {}
            parameters = urlencode({**query, **watch, **more}, quote_via=quote, safe="")
            target = f"/api/1/{question}/{self._namespace}?{parameters}"
            if has_place:
                for each in line.lines(target):
                    yield read(each)
                return
            yield read(line.ask(target).body)
            line.hang_up()
            gevent.sleep(POLL_S * random.uniform(0.9, 1.1))  # noqa: S311 - no secret


def read_tree(data: bytes) -> NameTree[BoundName]:
    """Returns a bound tree, of alternatives the one that counts. Raises `Malformed`."""
    try:
        return _tree(load(data))
    except RecursionError as error:
        raise Malformed("a tree is nested too deeply") from error


def read_addr(data: bytes) -> Addr:
    """Returns an address set; unusable addresses are left out. Raises `Malformed`."""
    found: list[Address] = []
    others: dict[str, Any] = {}
    for key, value in in_steps(items(data, "addrs")):
        if key != ITEM:
            others[key] = value
        elif (address := _address(value)) is not None:
            found.append(address)
    match others.get("type"):
        case "bound" if others.get("addrs") == []:
            authority = member(others.get("meta"), AUTHORITY)
            is_host = isinstance(authority, str) and can_stand_in_host(authority)
            return AddrBound(frozenset(found), authority if is_host else None)
        case "failed":
            return AddrFailed(f"namerd: {shown(others.get('cause'))}")
        case "neg":
            return ADDR_NEG
        case "pending":
            return ADDR_PENDING
        case other:
            raise Malformed(f"an address of type {shown(other)}")


def _tree(sent: Any) -> NameTree[BoundName]:
    kind = member(sent, "type")
    if isinstance(kind, str) and kind in _CONSTANTS:
        return _CONSTANTS[kind]
    match kind:
        case "leaf":
            bound_id = _path(member(sent, "bound", "id"))
            if not bound_id:
                raise Malformed("a leaf without an id")
            return Leaf(BoundName(bound_id, _path(member(sent, "bound", "path") or "/")))
        case "alt":
            found = (_tree(each) for each in _list(sent, "alt"))
            return next((tree for tree in found if not isinstance(tree, Neg)), NEG)
        case "union":
            return Union(tuple(map(_weighted, _list(sent, "union"))))
        case "delegate" | "transformation":
            return _tree(member(sent, "delegate" if kind == "delegate" else "tree"))
    message = member(sent, "message")
    raise Malformed(f"a tree of type {shown(kind)}: {shown(message)}")


def _weighted(sent: Any) -> Weighted[BoundName]:
    weight = member(sent, "weight")
    if not (isinstance(weight, int | float) and isfinite(weight) and weight >= 0):
        raise Malformed(f"a weight of {shown(weight)}")
    return Weighted(float(weight), _tree(member(sent, "tree")))


def _list(sent: Any, name: str) -> list[Any]:
    found = member(sent, name)
    if not isinstance(found, list):
        raise Malformed(f"there is no list at {name}")
    return found


def _path(text: Any) -> Path:
    if not isinstance(text, str):
        raise Malformed(f"a path that is {shown(text)}")
    try:
        return Path.parse(text)
    except ValueError as error:
        raise Malformed(f"a path that is none: {error}") from error


def _address(sent: Any) -> Address | None:
    ip, port, meta = member(sent, "ip"), member(sent, "port"), member(sent, "meta")
    host = literal(ip) if isinstance(ip, str) else None
    if host is None or not isinstance(port, int) or not 0 < port < 65536:
        return None
    weight = 1.0
    kept: tuple[tuple[str, str], ...] = ()
    if isinstance(meta, dict):
        sent_weight = meta.get(WEIGHT, 1.0)
        if isinstance(sent_weight, int | float) and isfinite(sent_weight) and sent_weight >= 0:
            weight = float(sent_weight)
        kept = tuple(sorted(_kept(meta)))
    return Address(host, port, weight, kept)


def _kept(meta: dict[str, Any]) -> Generator[tuple[str, str], None, None]:
    """Yields the texts among the metadata of an address."""
    for name, value in meta.items():
        if name not in (WEIGHT, AUTHORITY) and isinstance(value, str):
            yield name, value
