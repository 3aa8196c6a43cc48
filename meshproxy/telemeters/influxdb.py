r"""io.l5d.influxdb: the tree in InfluxDB's line protocol, a line for each scope, to be scraped.

linkerd: telemetry/influxdb/.../InfluxDbTelemeter.scala. Linkerd escapes nothing; here names of any
bytes give lines that parse (docs.influxdata.com: line protocol, special characters).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Final

from meshproxy.config.bases import TelemeterConfig
from meshproxy.metrics.instruments import Counter, Gauge, Instrument
from meshproxy.metrics.tree import Scope, Tree
from meshproxy.telemeters.labels import placed
from meshproxy.telemeters.telemeter import Page, Telemeter, TelemeterDeps

PATH: Final = "/admin/metrics/influxdb"
CONTENT_TYPE: Final = "text/plain; charset=utf-8"

_NO_HOST: Final = "none"
_TOP: Final = "root"
_SPECIAL: Final = re.compile(r"[,= ]")
_INEXPRESSIBLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|\\(?=[,= \\]|$)")
"""Control characters, and backslashes that would escape what follows: there is no way to quote."""
_SUMMARY: Final = {
    "_avg": "avg",
    "_min": "min",
    "_max": "max",
    "_p50": "p50",
    "_p90": "p90",
    "_p95": "p95",
    "_p99": "p99",
    "_p999": "p9990",
    "_p9999": "p9999",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxDbConfig(TelemeterConfig):
    """Shows the metrics on the admin server in InfluxDB's line protocol."""

    kind: ClassVar[str] = "io.l5d.influxdb"

    def build(self, deps: TelemeterDeps) -> "InfluxDb":
        """Returns the telemeter."""
        return InfluxDb(deps.metrics)


class InfluxDb(Telemeter):
    """One page, rendered for each scrape."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics

    def pages(self) -> Mapping[str, Callable[[str], Page]]:
        """Returns the page."""
        return {PATH: lambda host: Page(CONTENT_TYPE, render(self._metrics, host).encode())}


def render(metrics: Tree, host: str) -> str:
    """Returns a line for each scope that has numbers; *host* is the Host that the scraper asked."""
    by_scope: dict[Scope, dict[str, float]] = {}
    for scope, instrument in metrics.walk():
        readings = by_scope.setdefault(scope[:-1], {})
        readings.update(_readings(scope[-1], instrument))
    return "".join(line(scope, host, found) for scope, found in by_scope.items() if found)


def line(scope: Scope, host: str, readings: Mapping[str, float]) -> str:
    """Returns the line of *readings*, which stand directly under *scope*; it ends in a newline."""
    measurement, labels = placed(scope, exceptions=False)
    tags = {"host": host or _NO_HOST, **labels}
    shown = "".join(f",{name}={escaped(tags[name])}" for name in sorted(tags) if tags[name])
    fields = ",".join(f"{escaped(name)}={readings[name]}" for name in sorted(readings))
    return f"{measurement or _TOP}{shown} {fields}\n"


def escaped(text: str) -> str:
    """Returns *text* as the value of a tag or the name of a field; what cannot be quoted is `_`."""
    return _SPECIAL.sub(r"\\\g<0>", _INEXPRESSIBLE.sub("_", text)) or "_"


def _readings(name: str, instrument: Instrument) -> Iterator[tuple[str, float]]:
    """Yields fields: totals since the start, the rest of the last interval."""
    if isinstance(instrument, Counter):
        yield name, instrument.value
    elif isinstance(instrument, Gauge):
        value = instrument.read()
        if isfinite(value):
            yield name, value
    else:
        values = instrument.read()
        if values.count:
            yield f"{name}_count", values.count
            yield f"{name}_sum", values.sum
        if instrument.last is not None and instrument.last.count:
            for suffix, attribute in _SUMMARY.items():
                yield f"{name}{suffix}", getattr(instrument.last, attribute)
