"""What the dashboards show, once for Prometheus and once for graphite: the one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUTER, WINDOW = "$router", "$__rate_interval"
"""What Grafana replaces in queries."""
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_OBJECTS = {
    "router": "server",
    "service": "service",
    "client": "client",
    "endpoint": "client:endpoint",
}
_DEEPEST = {"service": 4, "client": 12, "endpoint": 12}
"""Elements that names of a kind have at most, `svc` not counted: graphite has no pattern for any
number of them."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries with the names of their series."""

    title: str
    unit: str
    """As Grafana calls it."""
    prometheus: tuple[tuple[str, str], ...]
    graphite: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


def _by(kind: str) -> str:
    return {"router": "rt", "endpoint": "rt, client, endpoint"}.get(kind, f"rt, {kind}")


def _legend(kind: str) -> str:
    return "{{rt}}" if kind == "router" else f"{{{{rt}}}} {{{{{kind}}}}}"


def _metric(kind: str, name: str) -> str:
    return f'rt:{_OBJECTS[kind]}:{name}{{rt=~"{ROUTER}"}}'


def _rate(kind: str, name: str) -> str:
    return f"sum by ({_by(kind)}) (rate({_metric(kind, name)}[{WINDOW}]))"


def _paths(kind: str, group: str, ending: str) -> str:
    """Return the pattern, in graphite, of `ending` of everything that is a *kind*."""
    start = f"stats.{group}.linkerd.rt.*."
    if kind == "router":
        return f"{start}server.*.*.{ending}"
    names = [
        ".".join("*" * depth) for depth in range(1 if kind == "service" else 2, _DEEPEST[kind] + 1)
    ]
    if kind == "service":
        return f"group({','.join(f'{start}service.svc.{name}.{ending}' for name in names)})"
    if kind == "endpoint":
        ending = f"endpoint.*.{ending}"
    every = ",".join(f"{start}client.{name}.{ending}" for name in names)
    if kind == "endpoint":
        return f"group({every})"
    return rf"exclude(group({every}),'\.(service\.svc|endpoint)\.')"


def _nodes(kind: str, endings: int) -> str:
    """Return the nodes of a path that tell one *kind* from another."""
    last = -1 - endings
    return {
        "router": "4",
        "service": f"4,{last}",
        "client": f"4,{last - 2},{last - 1},{last}",
        "endpoint": f"4,{last - 2},{last}",
    }[kind]


def _success_rate(kind: str) -> Panel:
    good, all_ = (_paths(kind, "counters", f"{name}.count") for name in ("success", "requests"))
    nodes = _nodes(kind, 2)
    return Panel(
        f"Success rate by {kind}",
        "percent",
        ((f"100 * {_rate(kind, 'success')} / {_rate(kind, 'requests')}", _legend(kind)),),
        (f"aliasByNode(asPercent({good},{all_},{nodes}),{nodes})",),
    )


def _counted(kind: str, title: str, names: dict[str, str], unit: str = "reqps") -> Panel:
    """Show the rates of the counters *names*, each with its meaning."""
    return Panel(
        f"{title} by {kind}",
        unit,
        tuple(
            (_rate(kind, name.replace("/", ":")), f"{_legend(kind)} {what}".strip())
            for name, what in names.items()
        ),
        tuple(_rates(kind, name, what) for name, what in names.items()),
    )


def _rates(kind: str, name: str, what: str) -> str:
    ending = name.replace("/", ".") + ".rate"
    nodes = _nodes(kind, ending.count(".") + 1)
    summed = f"groupByNodes({_paths(kind, 'counters', ending)},'sum',{nodes})"
    return _suffixed(summed, what)


def _suffixed(target: str, what: str) -> str:
    return f"aliasSub({target},'$',' {what}')" if what else target


def _read(
    kind: str, title: str, names: dict[str, str], unit: str = "short", *, by: str = "sum"
) -> Panel:
    """Show the gauges *names*, each with its meaning."""
    return Panel(
        f"{title} by {kind}",
        unit,
        tuple(
            (
                f"{by} by ({_by(kind)}) ({_metric(kind, name.replace('/', ':'))})",
                f"{_legend(kind)} {what}".strip(),
            )
            for name, what in names.items()
        ),
        tuple(_gauges(kind, name, what, by) for name, what in names.items()),
    )


def _gauges(kind: str, name: str, what: str, by: str) -> str:
    ending = name.replace("/", ".")
    nodes = _nodes(kind, ending.count(".") + 1)
    return _suffixed(f"groupByNodes({_paths(kind, 'gauges', ending)},'{by}',{nodes})", what)


def _latency(kind: str, name: str = "request_latency_ms", title: str = "Latency") -> Panel:
    buckets = f"rate({_metric(kind, f'{name}_distribution_bucket')}[{WINDOW}])"
    ending = f"{name}.upper_"
    nodes = _nodes(kind, 2)
    return Panel(
        f"{title} by {kind}",
        "ms",
        tuple(
            (
                f"histogram_quantile({share}, sum by ({_by(kind)}, le) ({buckets}))",
                f"{_legend(kind)} {quantile}",
            )
            for quantile, share in _QUANTILES.items()
        ),
        tuple(
            _suffixed(
                f"aliasByNode({_paths(kind, 'timers', ending + quantile[1:])},{nodes})", quantile
            )
            for quantile in _QUANTILES
        ),
    )


def _plain(
    title: str, unit: str, names: dict[str, str], shown: Callable[[str], str] = str, group: str = ""
) -> Panel:
    """Show metrics that belong to no router, as *shown* to Prometheus, each with its meaning."""
    ending = ".rate" if group == "counters" else ""
    return Panel(
        title,
        unit,
        tuple((shown(name.replace("/", ":")), what) for name, what in names.items()),
        tuple(
            f"alias(sumSeries(stats.{group}.linkerd.{name.replace('/', '.')}{ending}),'{what}')"
            for name, what in names.items()
        ),
    )


def _watching(title: str, unit: str, name: str) -> Panel:
    paths = [f"stats.gauges.linkerd.namer.{'*.' * depth}{name}" for depth in range(1, 6)]
    return Panel(
        title,
        unit,
        ((f'{{__name__=~"namer:.*:{name}"}}', "{{__name__}}"),),
        (f"aliasByNode(group({','.join(paths)}),-2)",),
    )


def rows() -> Sequence[Row]:
    """Return the rows of every dashboard, in order."""
    bytes_ = {"received_bytes": "received", "sent_bytes": "sent"}
    classes = {f"status/{n}XX": f"{n}XX" for n in range(2, 6)}
    return (
        Row(
            "Routers: what clients see",
            (
                _success_rate("router"),
                _counted("router", "Requests", {"requests": ""}),
                _latency("router"),
                _counted("router", "Responses", classes),
                _read("router", "In progress", {"pending": "requests", "connections": "clients"}),
                _counted("router", "Bytes", bytes_, "Bps"),
            ),
        ),
        Row(
            "Services: logical names",
            (
                _success_rate("service"),
                _counted("service", "Requests", {"requests": ""}),
                _latency("service"),
                _counted("service", "Retries", {"retries/total": "sent again"}),
                _read("service", "Retry budget", {"retries/budget": "left"}),
            ),
        ),
        Row(
            "Clients: bound names",
            (
                _success_rate("client"),
                _counted("client", "Attempts", {"requests": ""}),
                _latency("client"),
                _latency("client", "connect_latency_ms", "Time to connect"),
                _counted("client", "Requeues", {"retries/requeues": "moved"}),
                _read("client", "Requeue budget", {"retries/budget": "left"}),
            ),
        ),
        Row(
            "Endpoints and connections",
            (
                _read(
                    "client",
                    "Endpoints",
                    {
                        "loadbalancer/size": "known",
                        "loadbalancer/available": "available",
                        "loadbalancer/busy": "out",
                    },
                ),
                _counted(
                    "client",
                    "Breakers",
                    {"failure_accrual/removals": "out", "failure_accrual/revivals": "in again"},
                    "ops",
                ),
                _read("client", "Load of the endpoints", {"loadbalancer/load": ""}),
                _success_rate("endpoint"),
                _counted("endpoint", "Attempts", {"requests": ""}),
                _latency("endpoint"),
                _read(
                    "client",
                    "Pools",
                    {"pool_size": "open", "pool_cached": "idle", "pool_waiters": "waiting"},
                ),
                _counted(
                    "client", "Connections", {"connects": "opened", "closes": "closed"}, "ops"
                ),
            ),
        ),
        Row(
            "Discovery",
            (
                _plain(
                    "DNS look-ups",
                    "ops",
                    {"inet/dns/successes": "found", "inet/dns/failures": "failed"},
                    lambda name: f"rate({name}[{WINDOW}])",
                    "counters",
                ),
                _watching("Watches", "short", "watches"),
                _watching("Age of the oldest list in use", "s", "oldest_list_s"),
                _watching("Changes read since the start", "short", "events"),
            ),
        ),
        Row(
            "Process",
            (
                _plain("Up", "short", {"process/up": "processes"}, group="gauges"),
                _plain("Memory", "bytes", {"process/rss": "resident"}, group="gauges"),
                Panel(
                    "CPU",
                    "percent",
                    ((f"rate(process:cpu_ms[{WINDOW}]) / 10", "of one CPU"),),
                    (
                        (
                            "alias(scale(perSecond(stats.gauges.linkerd.process.cpu_ms),0.1),"
                            "'of one CPU')"
                        ),
                    ),
                ),
                _plain("Open descriptors", "short", {"process/fds": "open"}, group="gauges"),
            ),
        ),
    )
