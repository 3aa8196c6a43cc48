"""The steps of a delegation as JSON, by the types of Linkerd's `/delegator.json`.

linkerd: namerd/iface/control-http, JsonDelegateTree (`DelegateTree` written by Jackson).
"""

from collections.abc import Iterator
from typing import Any, Final

from meshproxy.naming.addr import Addr, AddrBound, AddrFailed, AddrNeg
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Step
from meshproxy.naming.nametree import Empty, Fail, Leaf, NameTree, Neg
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, State
from meshproxy.wording import in_words

Node = dict[str, Any]
_WEIGHT: Final = "endpoint_addr_weight"


def delegation_tree(step: Step, above: Path, *, is_detailed: bool = False) -> Node:
    """Returns *step* and all after it; *above* is the path of what has none of its own.

    If it *is_detailed*, a rule has its place too, and an answer the prefix of who gave it.
    """
    path = step.name or above
    node: Node = {"type": "", "path": path.show()}
    if step.entry is not None:
        node["dentry"] = {"prefix": step.entry.prefix.show(), "dst": step.entry.dst.show()}
        if is_detailed and step.entry.place:
            node["dentry"]["place"] = step.entry.place
    if is_detailed and step.by is not None:
        node["by"] = step.by.show()
    after = [delegation_tree(one, path, is_detailed=is_detailed) for one in step.steps]
    bound = _bound(step.state)
    if not after:
        return node | _end(step.state)
    if step.is_union:
        members = zip(step.steps, after, strict=True)
        union = [{"weight": one.weight, "tree": tree} for one, tree in members]
        return node | {"type": "union", "union": union}
    if len(after) > 1:
        return node | {"type": "alt", "alt": after}
    (following,) = step.steps
    if step.name is None and bound is not None and following.by not in {None, step.by}:
        changed = {"name": following.by.show(), "bound": _shown(bound), "tree": after[0]}
        return node | {"type": "transformation", **changed}
    return node | {"type": "delegate", "delegate": after[0]}


def ends(step: Step) -> Iterator[Step]:
    """Yields the steps at which a way from *step* ends."""
    waiting = [step]
    while waiting:
        one = waiting.pop()
        if not one.steps:
            yield one
        waiting += one.steps


def _end(state: State[NameTree[Bound]]) -> Node:
    match state:
        case Ok(Leaf(bound)):
            return {"type": "leaf", "bound": _shown(bound)}
        case Ok(Neg()):
            return {"type": "neg"}
        case Ok(Fail()):
            return {"type": "fail"}
        case Ok(Empty()):
            return {"type": "empty"}
        case Failed(error):
            return {"type": "exception", "message": in_words(error)}
    return {"type": "exception", "message": "no answer yet"}


def _bound(state: State[NameTree[Bound]]) -> Bound | None:
    return state.value.value if isinstance(state, Ok) and isinstance(state.value, Leaf) else None


def _shown(bound: Bound) -> Node:
    return {
        "addr": _addr(bound.addr.sample()),
        "id": bound.id.show(),
        "path": bound.residual.show(),
    }


def _addr(addr: Addr) -> Node:
    match addr:
        case AddrBound(addresses):
            found = [
                {"ip": one.host, "port": one.port, "meta": {_WEIGHT: one.weight, **dict(one.meta)}}
                for one in sorted(addresses, key=lambda one: (one.host, one.port))
            ]
            return {"type": "bound", "addrs": found, "meta": {}}
        case AddrFailed(why):
            return {"type": "failed", "cause": why}
    return {"type": "neg" if isinstance(addr, AddrNeg) else "pending"}
