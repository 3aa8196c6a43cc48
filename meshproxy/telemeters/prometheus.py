"""io.l5d.prometheus: the tree as text, with routers, services and clients as labels.

Names follow Linkerd (linkerd: telemetry/prometheus/.../PrometheusTelemeter.scala); escaping and the
HELP and TYPE lines follow the exposition format (prometheus.io:
docs/instrumenting/exposition_formats).
"""

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final, Literal

from meshproxy import __version__
from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.metrics.histogram import Histogram, Summary
from meshproxy.metrics.instruments import Counter, Gauge, Instrument
from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.tree import Scope, Tree
from meshproxy.telemeters.labels import Labels, placed
from meshproxy.telemeters.telemeter import Page, Telemeter, TelemeterDeps

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_MOST_BUCKETS: Final = 50
_BUCKETS: Final = "distribution"
"""Ends the names of families with buckets, since one family cannot have quantiles as well."""
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
    buckets_ms: tuple[int, ...] = key(
        default=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000),
        added=True,
        doc="Upper limits of the buckets of each `..._ms_distribution`, in ascending order; an "
        "empty list shows summaries only.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: a wrong prefix, path or list of buckets."""
        if len(self.buckets_ms) > _MOST_BUCKETS:
            yield Problem(f"expected at most {_MOST_BUCKETS} buckets", "bucketsMs")
        elif any(after <= before for before, after in pairwise((-1, *self.buckets_ms))):
            yield Problem("expected numbers from 0 on in ascending order", "bucketsMs")
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

    def pages(self) -> Mapping[str, Callable[[str], Page]]:
        """Returns the page at the configured path."""
        return {self._config.path: self._page}

    def _page(self, _host: str) -> Page:
        config = self._config
        page = build_info() + render(self._metrics, config.prefix, config.buckets_ms)
        return Page(CONTENT_TYPE, page.encode())


def build_info() -> str:
    """Returns the lines of the metric that names the build."""
    labels = {"version": __version__, "python": platform.python_version()}
    return (
        "# HELP meshproxy_build_info Always 1; the labels say what was built.\n"
        "# TYPE meshproxy_build_info gauge\n"
        f"meshproxy_build_info{_braced(labels)} 1\n"
    )


def render(metrics: Tree, prefix: str = "", buckets: Sequence[int] = ()) -> str:
    """Returns all numbers; the lines of a name are together under its HELP and TYPE.

    *buckets* are the upper limits for histograms of milliseconds, which are shown a second time:
    unlike quantiles, buckets of several processes can be added up.
    """
    families: dict[str, list[str]] = {}
    for scope, instrument in metrics.walk():
        for family, kind, line in _readings(prefix, scope, instrument, buckets):
            if family not in families:
                families[family] = [*_help(family, scope), f"# TYPE {family} {kind}"]
            families[family].append(line)
    return "".join(line + "\n" for lines in families.values() for line in lines)


def _help(family: str, scope: Scope) -> Iterator[str]:
    """Yields the HELP line of *family*, whose first number is at *scope*."""
    entry = entry_of(scope)
    if entry is not None:
        meaning = entry.meaning.removesuffix(" Added.")
        more = ""
        if entry.kind == "histogram":
            ending = family.rpartition("_")[2]
            more = {"avg": " Mean of the last minute.", _BUCKETS: " Since the start."}.get(
                ending, ""
            )
        yield f"# HELP {family} {meaning}{more}"


def lines(
    prefix: str,
    scope: Scope,
    kind: Literal["counter", "gauge", "stat"],
    value: float | Summary,
) -> list[str]:
    """Returns the lines of one reading; *value* is a Summary if *kind* is stat."""
    bare, labels = placed(scope)
    name = prefix + bare
    if isinstance(value, Summary):
        if not value.count:
            return []
        return [
            *(line for _, _, line in _totals(name, "summary", labels, value.count, value.sum)),
            *(line for _, _, line in _quantiles(name, labels, value)),
        ]
    shown = int(value) if kind == "counter" else float(value)
    return [f"{name}{_braced(labels)} {shown}"]


_Reading = tuple[str, str, str]
"""Name of the family, its type, and a line of it."""


def _readings(
    prefix: str, scope: Scope, instrument: Instrument, buckets: Sequence[int]
) -> Iterator[_Reading]:
    bare, labels = placed(scope)
    name = prefix + bare
    if isinstance(instrument, Counter):
        yield name, "counter", f"{name}{_braced(labels)} {instrument.value}"
    elif isinstance(instrument, Gauge):
        yield name, "gauge", f"{name}{_braced(labels)} {float(instrument.read())}"
    else:
        values = instrument.read()
        if values.count:
            yield from _totals(name, "summary", labels, values.count, values.sum)
            if buckets and name.endswith("_ms"):
                yield from _distribution(f"{name}_{_BUCKETS}", labels, values, buckets)
        if instrument.last is not None and instrument.last.count:
            yield from _quantiles(name, labels, instrument.last)


def _totals(name: str, kind: str, labels: Labels, count: int, total: int) -> Iterator[_Reading]:
    yield name, kind, f"{name}_count{_braced(labels)} {count}"
    yield name, kind, f"{name}_sum{_braced(labels)} {total}"


def _distribution(
    name: str, labels: Labels, values: Histogram, buckets: Sequence[int]
) -> Iterator[_Reading]:
    numbers = [
        *zip(map(str, buckets), values.at_most(buckets), strict=True),
        ("+Inf", values.count),
    ]
    for limit, number in numbers:
        braced = _braced({**labels, "le": limit})
        yield name, "histogram", f"{name}_bucket{braced} {number}"
    yield from _totals(name, "histogram", labels, values.count, values.sum)


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
