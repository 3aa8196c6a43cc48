"""`/admin/metrics.json`: counters and finite gauges, histograms of the last interval.

It is made in slices, since it may be long: requests go on meanwhile.

(linkerd: telemetry/admin-metrics-export/.../AdminMetricsExportTelemeter.scala)
"""

from collections.abc import Iterator
from json import dumps
from math import isfinite
from typing import Final

from meshproxy.admin.json_text import joined, json_text
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
from meshproxy.net.slices import Slices

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
            return text(dumps(error), 404, JSON)
        slices, is_pretty = Slices(), request.is_set("pretty")
        if request.is_set("tree"):
            return text(joined(nested(node, pretty=is_pretty), slices), 200, JSON)
        return text(json_text(flat(node, slices), slices, pretty=is_pretty), 200, JSON)

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


def flat(node: Node, slices: Slices) -> dict[str, float]:
    """Returns the numbers of *node* and everything below, by their names within it."""
    instrument, tree = node
    numbers = dict(_readings("", instrument))
    if tree is not None:
        for scope, below in tree.walk():
            numbers.update(_readings("/".join(scope), below))
            slices.rest()
    return numbers


def nested(node: Node, *, pretty: bool = False, depth: int = 0) -> Iterator[str]:
    """Yields the numbers of *node* as JSON objects within objects, a small piece at a time.

    No object is made of the whole, which the garbage collector would have to look through.
    """
    instrument, tree = node
    numbers = dict(_readings(type(instrument).__name__.lower(), instrument))
    below = dict.fromkeys((*tree.instruments, *tree.scopes)) if tree is not None else {}
    names = [name for name in numbers if name not in below] + list(below)
    if pretty:
        names.sort()
    indent, end = ("\n" + "  " * (depth + 1), "\n" + "  " * depth) if pretty else ("", "")
    before, between = "{" + indent, ("," + indent) if pretty else ", "
    for name in names:
        yield f"{before}{dumps(name)}: "
        before = between
        if tree is None or name not in below:
            yield dumps(numbers[name])
        else:
            inner = tree.instruments.get(name), tree.scopes.get(name)
            yield from nested(inner, pretty=pretty, depth=depth + 1)
    yield end + "}" if names else "{}"


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
