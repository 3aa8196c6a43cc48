"""What was measured, as a table for the terminal, for docs/performance.md, and as a chart."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.load import Measured
from tests.bench.scenarios import SCENARIOS, Goal, Scenario

Results = Mapping[tuple[str, str], Sequence[Measured]]
"""By scenario and proxy: one result of each repetition, in the same order."""


class Verdict(NamedTuple):
    """What became of one goal. *scenario* names the Python too, where it is another one."""

    scenario: str
    goal: Goal
    ratio: float
    spread: tuple[float, float]

    @property
    def text(self) -> str:
        """Aim, must, or missed."""
        if self.ratio <= self.goal.aim:
            return "aim"
        return "must" if self.ratio <= self.goal.must else "missed"


def cost(scenario: Scenario, one: Measured) -> float:
    """Return what the goals of *scenario* are about."""
    return one.p50_ms if scenario.by_latency else one.cpu_us


def verdicts(results: Results, scenarios: Mapping[str, Scenario] = SCENARIOS) -> list[Verdict]:
    """Return, for every goal that was measured, the median of the ratios within a repetition.

    There is one for each Python that ran meshproxy.
    """
    found = []
    for (name, proxy), ours in results.items():
        if name not in scenarios or not proxy.startswith("meshproxy"):
            continue
        scenario = scenarios[name]
        for goal in scenario.goals:
            theirs = results.get((name, goal.peer), ())
            if not ours or len(ours) != len(theirs):
                continue
            pairs = zip(ours, theirs, strict=True)
            ratios = [cost(scenario, a) / (cost(scenario, b) or 1e-9) for a, b in pairs]
            called = name + proxy.removeprefix("meshproxy")
            found.append(Verdict(called, goal, median(ratios), (min(ratios), max(ratios))))
    return found


def markdown(results: Results, scenarios: Mapping[str, Scenario] = SCENARIOS) -> str:
    """Return the tables of goals and of medians."""
    lines = ["| scenario | against | ratio | lowest - highest | must | aim | reached |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for one in verdicts(results, scenarios):
        low, high = one.spread
        lines.append(
            f"| {one.scenario} | {one.goal.peer} | {one.ratio:.2f} | {low:.2f} - {high:.2f} "
            f"| {one.goal.must:.2f} | {one.goal.aim:.2f} | {one.text} |"
        )
    lines += ["", "| scenario | proxy | CPU us/request | req/s | p50 ms | p99 ms | errors |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for (scenario, proxy), runs in results.items():
        lines.append(
            f"| {scenario} | {proxy} | {_median(runs, 'cpu_us'):.1f} "
            f"| {_median(runs, 'per_s'):.0f} | {_median(runs, 'p50_ms'):.2f} "
            f"| {_median(runs, 'p99_ms'):.2f} | {sum(run.errors for run in runs)} |"
        )
    return "\n".join(lines) + "\n"


def growth_markdown(growth: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Return one row for each series: size and CPU microseconds a request."""
    lines = ["", "| small requests, CPU us each, by number of | |", "| --- | --- |"]
    for what, points in growth.items():
        cells = ", ".join(f"{size:,}: {cpu_us:.0f}" for size, cpu_us in points)
        lines.append(f"| {what} | {cells} |")
    return "\n".join(lines) + "\n"


def markers(name: str = "bench") -> tuple[str, str]:
    """Return the lines before and after the tables *name* of a document."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replace_between_markers(file: Path, text: str, name: str = "bench") -> None:
    """Put *text* between the markers *name* of *file*; ValueError when they are not there."""
    first, last = markers(name)
    before, begin, rest = file.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{file} has no {first} and {last}")
    file.write_text(f"{before}{first}\n{text}{last}{after}")


_ROW, _LEFT, _UNIT = 26, 210, 240


def chart(found: Sequence[Verdict]) -> str:
    """Return an SVG: a bar for each ratio to its must, which is the line at 1."""
    height = _ROW * (len(found) + 1)
    shapes = []
    for row, one in enumerate(found):
        y, share = row * _ROW + 8, one.ratio / one.goal.must
        colour = {"aim": "#2a7", "must": "#48c", "missed": "#c53"}[one.text]
        label = escape(f"{one.scenario} / {one.goal.peer}")
        aim = _LEFT + _UNIT * one.goal.aim / one.goal.must
        width = f"{_UNIT * min(share, 1.8):.0f}"
        shapes += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{label}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width}" height="18" fill="{colour}"/>',
            f'<path d="M{aim:.0f} {y - 3}v24" stroke="#000" stroke-dasharray="2"/>',
            f'<text x="{_LEFT + 6}" y="{y + 13}" fill="#fff">{one.ratio:.2f}</text>',
        ]
    line = f'<path d="M{_LEFT + _UNIT} 0v{height - 16}" stroke="#000"/>'
    note = f'<text x="{_LEFT}" y="{height - 4}">line: must; dashes: aim; shorter is cheaper</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + 2 * _UNIT}" height="{height}" '
        f'font-family="sans-serif" font-size="12">{"".join(shapes)}{line}{note}</svg>\n'
    )


def _median(runs: Sequence[Measured], what: str) -> float:
    return median(getattr(run, what) for run in runs)
