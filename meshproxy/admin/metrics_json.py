"""`/admin/metrics.json`: counters and finite gauges, histograms of the last interval.

(linkerd: telemetry/admin-metrics-export/.../AdminMetricsExportTelemeter.scala)
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from meshproxy.admin.pages import (
    JSON,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.metrics.instruments import Counter, Gauge, Instrument
from meshproxy.metrics.tree import Tree

PATH: Final = "/admin/metrics.json"

Node = tuple[Instrument | None, Tree | None]
"""What a name refers to: an instrument, a scope, or both."""

_SUMMARY: Final = ("max", "min", "p50", "p90", "p95", "p99", "p9990", "p9999", "sum", "avg")


def metrics_json(metrics: Tree) -> AdminHandler:
    """Returns the handler of the page; its parameters are `pretty`, `tree` and `q`."""

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        wanted = request.query.get("q")
        node = (None, metrics) if wanted is None else find(metrics, wanted.strip("/"))
        if node is None:
            error = {"error": f"No such subtree: {wanted}"}
            return text(json.dumps(error), 404, JSON)
        numbers = nested(node) if request.is_set("tree") else flat(node)
        is_pretty = request.is_set("pretty")
        indent = 2 if is_pretty else None
        return text(json.dumps(numbers, indent=indent, sort_keys=is_pretty), 200, JSON)

    return handle


def find(tree: Tree, name: str) -> Node | None:
    """Returns the node at *name*, which is joined by slashes; longer elements are tried first."""
    if name in tree.instruments or name in tree.scopes:
        return tree.instruments.get(name), tree.scopes.get(name)
    starts = (scope for scope in tree.scopes if name.startswith(scope + "/"))
    for scope in sorted(starts, key=len, reverse=True):
        found = find(tree.scopes[scope], name[len(scope) + 1 :])
        if found is not None:
            return found
    return None


def flat(node: Node) -> dict[str, float]:
    """Returns the numbers of *node* and everything below, by their names within it."""
    instrument, tree = node
    numbers = dict(_readings("", instrument))
    if tree is not None:
        for scope, below in tree.walk():
            numbers.update(_readings("/".join(scope), below))
    return numbers


def nested(node: Node) -> dict[str, Any]:
    """Returns the numbers of *node* as objects within objects."""
    instrument, tree = node
    found: dict[str, Any] = dict(_readings(type(instrument).__name__.lower(), instrument))
    if tree is not None:
        for name in dict.fromkeys((*tree.instruments, *tree.scopes)):
            found[name] = nested((tree.instruments.get(name), tree.scopes.get(name)))
    return found


def _readings(name: str, instrument: Instrument | None) -> Iterator[tuple[str, float]]:
    if instrument is None:
        return
    if isinstance(instrument, Counter):
        yield name, instrument.value
    elif isinstance(instrument, Gauge):
        value = instrument.read()
        if isfinite(value):
            yield name, value
    elif instrument.last is not None:
        yield f"{name}.count", instrument.last.count
        if instrument.last.count:
            for attribute in _SUMMARY:
                yield f"{name}.{attribute}", getattr(instrument.last, attribute)
