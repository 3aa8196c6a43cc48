"""Finds the description of a metric by its full name."""

from typing import Any, Final

from meshproxy.metrics.metric import Metric
from meshproxy.metrics.names import patterns
from meshproxy.metrics.tree import Scope

_ANY: Final = "<>"
_Node = dict[str | None, Any]
"""Child nodes by element, `_ANY` for one that varies; the entry that ends here is under None."""


def entry_of(scope: Scope) -> Metric | None:
    """Returns the entry that *scope* matches, None if there is none; exact names have priority."""
    return _found(_entries, scope)


def _found(node: _Node, rest: Scope) -> Metric | None:
    if not rest:
        entry: Metric | None = node.get(None)
        return entry
    for element in (rest[0], _ANY):
        below = node.get(element)
        if below is not None and (entry := _found(below, rest[1:])) is not None:
            return entry
    return None


def _tree() -> _Node:
    root: _Node = {}
    for pattern, metric in patterns():
        node = root
        for element in pattern:
            node = node.setdefault(_ANY if element.startswith("<") else element, {})
        node[None] = metric
    return root


_entries: Final = _tree()
