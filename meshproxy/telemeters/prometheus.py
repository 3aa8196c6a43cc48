"""io.l5d.prometheus: the tree as text, with routers, services and clients as labels.

Names follow Linkerd (linkerd: telemetry/prometheus/.../PrometheusTelemeter.scala); escaping and the
HELP and TYPE lines follow the exposition format (prometheus.io:
docs/instrumenting/exposition_formats).
"""

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from meshproxy import __version__
from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.metrics.histogram import Summary
from meshproxy.metrics.instruments import Counter, Gauge, Instrument
from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.tree import Scope, Tree
from meshproxy.telemeters.telemeter import Page, Telemeter, TelemeterDeps

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9:]")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_OBJECTS: Final = ("service", "client", "server")
_EXCEPTIONS: Final = {"failures": "failures", "exn": "exceptions"}
_QUANTILES: Final = {
    "0": "min",
    "0.5": "p50",
    "0.9": "p90",
    "0.95": "p95",
    "0.99": "p99",
    "0.999": "p9990",
    "0.9999": "p9999",
    "1": "max",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusConfig(TelemeterConfig):
    """Shows the metrics on the admin server in Prometheus' text format."""

    kind: ClassVar[str] = "io.l5d.prometheus"
    path: str = key(default="/admin/metrics/prometheus", doc="The page's path on the admin server.")
    prefix: str = key(default="", doc="Begins every name but `meshproxy_build_info`.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: a prefix that cannot begin a name, and a path that is not one."""
        if self.prefix and not _NAME.fullmatch(self.prefix):
            yield Problem("expected letters, digits, '_' and ':', no digit first", "prefix")
        if not self.path.startswith("/"):
            yield Problem("expected a path that begins with '/'", "path")

    def build(self, deps: TelemeterDeps) -> "Prometheus":
        """Returns the telemeter."""
        return Prometheus(self, deps.metrics)


class Prometheus(Telemeter):
    """One page, rendered for each scrape."""

    def __init__(self, config: PrometheusConfig, metrics: Tree) -> None:
        self._config = config
        self._metrics = metrics

    def pages(self) -> Mapping[str, Callable[[], Page]]:
        """Returns the page at the configured path."""
        return {self._config.path: self._page}

    def _page(self) -> Page:
        page = build_info() + render(self._metrics, self._config.prefix)
        return Page(CONTENT_TYPE, page.encode())


def build_info() -> str:
    """Returns the lines of the metric that names the build."""
    labels = {"version": __version__, "python": platform.python_version()}
    return (
        "# HELP meshproxy_build_info Always 1; the labels say what was built.\n"
        "# TYPE meshproxy_build_info gauge\n"
        f"meshproxy_build_info{_braced(labels)} 1\n"
    )


def render(metrics: Tree, prefix: str = "") -> str:
    """Returns all numbers; the lines of a name are together under its HELP and TYPE."""
    families: dict[str, list[str]] = {}
    for scope, instrument in metrics.walk():
        for family, kind, line in _readings(prefix, scope, instrument):
            if family not in families:
                families[family] = [*_help(family, scope), f"# TYPE {family} {kind}"]
            families[family].append(line)
    return "".join(line + "\n" for lines in families.values() for line in lines)


def _help(family: str, scope: Scope) -> Iterator[str]:
    """Yields the HELP line of *family*, whose first number is at *scope*."""
    entry = entry_of(scope)
    if entry is not None:
        meaning = entry.meaning.removesuffix(" Added.")
        mean = (
            " Mean of the last minute."
            if entry.kind == "histogram" and family.endswith("_avg")
            else ""
        )
        yield f"# HELP {family} {meaning}{mean}"


def lines(
    prefix: str,
    scope: Scope,
    kind: Literal["counter", "gauge", "stat"],
    value: float | Summary,
) -> list[str]:
    """Returns the lines of one reading; *value* is a Summary if *kind* is stat."""
    name, labels = placed(prefix, scope)
    if isinstance(value, Summary):
        if not value.count:
            return []
        return [
            *(line for _, _, line in _totals(name, labels, value.count, value.sum)),
            *(line for _, _, line in _quantiles(name, labels, value)),
        ]
    shown = int(value) if kind == "counter" else float(value)
    return [f"{name}{_braced(labels)} {shown}"]


def placed(prefix: str, scope: Scope) -> tuple[str, Labels]:
    """Returns the name and the labels for *scope*."""
    path: list[str] = []
    labels: Labels = {}
    for element in scope:
        path.append(element)
        match path:
            case ["rt", router] if "rt" not in labels:
                labels["rt"] = router
            case ["rt", kind, named] if kind in _OBJECTS and kind not in labels:
                labels[kind] = named
            case ["rt", "client", "service", named] if "service" not in labels:
                labels["service"] = named
            case ["rt", kind, ("failures" | "exn") as group, error] if kind in _OBJECTS:
                path[2] = _EXCEPTIONS[group]
                known = labels.get("exception")
                labels["exception"] = error if known is None else f"{known}:{error}"
            case ["rt", kind, "exceptions", error] if kind in _OBJECTS and "exception" in labels:
                labels["exception"] += f":{error}"
            case _:
                continue
        path.pop()
    return prefix + _UNSAFE.sub("_", ":".join(path)), labels


_Reading = tuple[str, str, str]
"""Name of the family, its type, and a line of it."""


def _readings(prefix: str, scope: Scope, instrument: Instrument) -> Iterator[_Reading]:
    name, labels = placed(prefix, scope)
    if isinstance(instrument, Counter):
        yield name, "counter", f"{name}{_braced(labels)} {instrument.value}"
    elif isinstance(instrument, Gauge):
        yield name, "gauge", f"{name}{_braced(labels)} {float(instrument.read())}"
    else:
        values = instrument.read()
        if values.count:
            yield from _totals(name, labels, values.count, values.sum)
        if instrument.last is not None and instrument.last.count:
            yield from _quantiles(name, labels, instrument.last)


def _totals(name: str, labels: Labels, count: int, total: int) -> Iterator[_Reading]:
    yield name, "summary", f"{name}_count{_braced(labels)} {count}"
    yield name, "summary", f"{name}_sum{_braced(labels)} {total}"


def _quantiles(name: str, labels: Labels, last: Summary) -> Iterator[_Reading]:
    yield f"{name}_avg", "gauge", f"{name}_avg{_braced(labels)} {last.avg}"
    for quantile, attribute in _QUANTILES.items():
        braced = _braced({**labels, "quantile": quantile})
        yield name, "summary", f"{name}{braced} {getattr(last, attribute)}"


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())
    return "{" + ", ".join(pairs) + "}"
