"""Cases about the text of metrics, as the telemeters write them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from meshproxy.metrics.histogram import Summary
from meshproxy.telemeters import prometheus
from tests.kit.statsd import line
from tests.vectors.traffic import Given, Outcome, check

_LINE = re.compile(r"(?P<name>[^:|@]+):(?P<number>[^:|]+)\|(?P<type>\w+)(?:\|@(?P<rate>.+))?")


def statsd_line(case: Given) -> Outcome:
    """The line of one reading; a rate of 1 is as good as none."""
    given = case["given"]
    got = line(
        given["prefix"],
        tuple(given["scope"]),
        given["type"],
        given["value"],
        given.get("sample_rate", 1.0),
    )
    return _read(case["expect"]["line"]), _read(got)


def _read(text: str) -> tuple[str, str, float, float] | str:
    match = _LINE.fullmatch(text)
    if match is None:
        return text
    return match["name"], match["type"], float(match["number"]), float(match["rate"] or 1)


def prometheus_name(given: Given) -> dict[str, Any]:
    """The lines of one reading."""
    value = given["value"]
    if given["type"] == "stat":
        value = Summary(**value)
    lines = prometheus.lines(given["prefix"], tuple(given["scope"]), given["type"], value)
    return {"lines": lines}


KINDS: Mapping[str, Callable[[Given], Outcome]] = {
    "statsd_line": statsd_line,
    "prometheus_name": check(prometheus_name),
}
