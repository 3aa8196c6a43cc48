"""What the admin page shows of all routers at a glance: small however much is counted.

It is made of the tree of metrics, a slice at a time, so that requests go on meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import gevent

from meshproxy import __version__
from meshproxy.admin.discovery import problems as failures
from meshproxy.admin.json_text import json_text
from meshproxy.admin.pages import JSON, AdminRequest, AdminResponse, refuse_method, text
from meshproxy.metrics.histogram import Histogram
from meshproxy.metrics.instruments import Counter, Gauge, Stat
from meshproxy.metrics.tree import Tree
from meshproxy.net.slices import Slices

PATH: Final = "/overview.json"
MAX_ROWS: Final = 50
"""Services and clients of a router that are shown unless more are asked for."""
SAMPLE_S: Final = 2.0
SAMPLES: Final = 150
"""Kept of each router: those of five minutes."""
_LATENCY: Final = "request_latency_ms"
_PERCENTILES: Final = ("p50", "p95", "p99", "max")

_BY_REQUEST: Final = "/$/"
"""Is in the bound names of namers that any name of a request may reach."""

Row = dict[str, Any]
Sample = tuple[float, int, int]
"""When, in seconds since 1970, and how many requests had come and had been successes by then."""


class Overview:
    """The page; remembers what the routers of *metrics* served in the last minutes.

    Args:
        metrics: the root of the tree.
        uptime: seconds since the start.
        why_not_ready: None, or what `/ready` says.
        workers: what is known of each worker process, of several.
        failing: returns the names that discovery fails for, see `meshproxy.admin.discovery`.
    """

    def __init__(
        self,
        metrics: Tree,
        uptime: Callable[[], float],
        why_not_ready: Callable[[], str | None],
        workers: Callable[[], Sequence[Row]] | None = None,
        failing: Callable[[], Iterable[Row]] = tuple,
    ) -> None:
        self._metrics = metrics
        self._uptime = uptime
        self._why_not_ready = why_not_ready
        self._workers = workers
        self._failing = failing
        self._history: dict[str, deque[Sample]] = {}
        self._sampling: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begins to remember."""
        self._sampling = gevent.spawn(self._sample_often)

    def close(self) -> None:
        """Remembers no more."""
        if self._sampling is not None:
            self._sampling.kill()

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Shows it; `limit` is the number of rows, `q` a text that is in the names shown."""
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        slices, limit = Slices(), request.number("limit", MAX_ROWS)
        found = self._shown(limit, request.query.get("q", ""), slices)
        return text(json_text(found, slices), content_type=JSON)

    def sample(self) -> None:
        """Notes what the routers have served up to now."""
        routers = self._routers()
        for label in self._history.keys() - routers.keys():
            del self._history[label]
        for label, tree in routers.items():
            kept = self._history.setdefault(label, deque(maxlen=SAMPLES))
            kept.append((time.time(), *_served(tree)))

    def _sample_often(self) -> None:
        while True:
            self.sample()
            gevent.sleep(SAMPLE_S)

    def _routers(self) -> dict[str, Tree]:
        return dict(self._metrics.scope("rt").scopes)

    def _shown(self, limit: int, wanted: str, slices: Slices) -> Row:
        routers = [self._router(*one, limit, wanted, slices) for one in self._routers().items()]
        process = self._metrics.scopes.get("process", Tree())
        workers = None if self._workers is None else self._workers()
        why_not_ready = self._why_not_ready()
        problems = [{"what": f"Not ready: {why_not_ready}"}] if why_not_ready else []
        problems += [
            {"what": f"Worker {one['worker']} is {one['state']}"}
            for one in workers or ()
            if one["state"] != "serving"
        ]
        now = time.time()
        troubled = [(router["label"], one) for router in routers for one in router.pop("troubled")]
        of_discovery = [
            {"what": what, "tab": "discovery"} for what in failures(self._failing(), now)
        ]
        problems += _of_names(troubled, of_discovery, len(workers or ()))
        return {
            "at": now,
            "version": __version__,
            "uptime_ms": round(self._uptime() * 1000),
            "process": {name: _number(process, name) for name in ("cpu_ms", "rss", "fds")},
            "workers": workers,
            "problem_count": len(problems),
            "problems": problems[:MAX_ROWS],
            "routers": routers,
        }

    def _router(self, label: str, tree: Tree, limit: int, wanted: str, slices: Slices) -> Row:
        requests, success = _served(tree)
        servers = list(tree.scope("server").scopes.values())
        clients = _in_slices(_client, tree.scope("client"), slices)
        services = _in_slices(_service, tree.scope("service"), slices)
        return {
            "label": label,
            "requests": requests,
            "success": success,
            "pending": sum(_number(server, "pending") for server in servers),
            "connections": sum(_number(server, "connections") for server in servers),
            "retries": sum(one["retries"] for one in (*services, *clients)),
            "exhausted": sum(one["exhausted"] for one in (*services, *clients)),
            **_latency(servers),
            "history": list(self._history.get(label, ())),
            "troubled": [client for client in clients if _trouble(client)],
            "services": _top(tree.scope("service"), services, limit, wanted, slices),
            "clients": _top(tree.scope("client"), clients, limit, wanted, slices),
        }


def _in_slices(row: Callable[[str, Tree], Row], scope: Tree, slices: Slices) -> list[Row]:
    """Returns a row for each scope below *scope*, letting others run between."""
    rows = []
    for name, tree in list(scope.scopes.items()):
        rows.append(row(name, tree))
        slices.rest()
    return rows


def _service(name: str, tree: Tree) -> Row:
    retries = tree.scopes.get("retries", Tree())
    return {
        **_outcomes(name, tree),
        "retries": _number(retries, "total"),
        "exhausted": _number(retries, "budget_exhausted"),
        "budget": _number(retries, "budget"),
    }


def _client(name: str, tree: Tree) -> Row:
    retries = tree.scopes.get("retries", Tree())
    balancer = tree.scopes.get("loadbalancer", Tree())
    accrual = tree.scopes.get("failure_accrual", Tree())
    return {
        **_outcomes(name, tree),
        "retries": _number(retries, "requeues"),
        "exhausted": _number(retries, "budget_exhausted"),
        "budget": _number(retries, "budget"),
        "connections": _number(tree, "connections"),
        "endpoints": _number(balancer, "size"),
        "available": _number(balancer, "available"),
        "adds": _number(balancer, "adds"),
        "removals": _number(accrual, "removals"),
        "dead_s": round(_number(accrual, "longest_dead_s"), 1),
    }


def _outcomes(name: str, tree: Tree) -> Row:
    """Returns what services and clients have in common."""
    return {
        "name": f"/{name}",
        "requests": _number(tree, "requests"),
        "success": _number(tree, "success"),
        "pending": _number(tree, "pending"),
    }


def _latency(trees: Sequence[Tree]) -> Row:
    """Returns percentiles in milliseconds of the last minute or two, None without a request."""
    stats = [one for tree in trees if isinstance(one := tree.instruments.get(_LATENCY), Stat)]
    found = sum((one.recent() for one in stats), Histogram()).summary()
    return {one: getattr(found, one) if found.count else None for one in _PERCENTILES}


def _served(router: Tree) -> tuple[int, int]:
    servers = list(router.scope("server").scopes.values())
    requests, success = (
        sum(round(_number(server, name)) for server in servers) for name in ("requests", "success")
    )
    return requests, success


def _number(tree: Tree, name: str) -> float:
    """Returns what the counter or gauge *name* of *tree* says now, 0 without one."""
    instrument = tree.instruments.get(name)
    if isinstance(instrument, Gauge):
        return instrument.read()
    return instrument.value if isinstance(instrument, Counter) else 0


def _of_names(troubled: list[tuple[str, Row]], discovery: list[Row], workers: int) -> list[Row]:
    """Returns the problems of clients, with their routers' labels, and of *discovery*.

    The most used clients come first; those without endpoints last, as the others tell more.
    """
    out: list[Row] = []
    empty: list[Row] = []
    for label, client in sorted(troubled, key=lambda one: _by_use(one[1])):
        what = _trouble(client, workers)
        found = out if client["endpoints"] else empty
        found.append({"what": what, "router": label, "client": client["name"]})
    return [*out, *discovery, *empty]


def _trouble(client: Row, workers: int = 1) -> str | None:
    """Returns what is wrong with the endpoints of *client*, None if nothing is.

    Names of DNS that never had an address do not count, since clients can ask for any.
    """
    name, endpoints = client["name"], client["endpoints"]
    out = endpoints - client["available"]
    if not endpoints:
        is_made_up = _BY_REQUEST in name and not client["adds"]
        return None if is_made_up else f"{name} has no endpoints"
    since = f" for {client['dead_s']:.0f} s" if client["dead_s"] else ""
    counted = f" (sum of {workers} workers)" if workers > 1 else ""
    what = f"{out:g} of {endpoints:g} endpoints of {name} out{since}{counted}"
    return what if out > 0 else None


def _top(scope: Tree, rows: list[Row], limit: int, wanted: str, slices: Slices) -> Row:
    """Returns those with *wanted* in their name, the troubled first, then the most used.

    Only the rows that are shown get their latencies from *scope*, which cost most.
    """
    found = [row for row in rows if wanted in row["name"]]
    found.sort(key=lambda row: ("available" not in row or _trouble(row) is None, _by_use(row)))
    shown = []
    for row in found[:limit]:
        shown.append(row | _latency([scope.scopes.get(row["name"][1:], Tree())]))
        slices.rest()
    return {"total": len(rows), "found": len(found), "rows": shown}


def _by_use(row: Row) -> tuple[float, str]:
    return -row["requests"], row["name"]
