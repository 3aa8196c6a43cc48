"""Measures meshproxy and other proxies side by side: `python -m tests.bench [SCENARIO ...]`.

One upstream (nginx) and one load generator (wrk) share a core, the proxy has another to itself. The
figure is the CPU time of all processes of a proxy for each request, which other work on the machine
disturbs less than requests a second; what counts is the ratio inside one repetition. Needs wrk and
nginx; haproxy, envoy and proxy.py are measured where they are found, beside this Python, in the
directories of BENCH_PATH, or in the system.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 (the patch comes first)
import resource  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections import defaultdict  # noqa: E402
from pathlib import Path  # noqa: E402

from tests.bench import fairness, growth, observed, report, rules, updates  # noqa: E402
from tests.bench.configs import ROOT  # noqa: E402
from tests.bench.load import Measured, check, measure  # noqa: E402
from tests.bench.proxies import MESHPROXY, PEERS, WHERE, Proxy, Running, by  # noqa: E402
from tests.bench.scenarios import IDLE_GOAL, MEMORY_GOAL_MB, SCENARIOS  # noqa: E402
from tests.bench.world import World  # noqa: E402
from tests.kit.daemons import find  # noqa: E402

DOCUMENT = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"


def main() -> int:
    """Run what the command line asks for; 1 when a must was missed."""
    options = arguments()
    for program, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        if find(program) is None:
            raise SystemExit(f"the bench needs {program}: apt install {package}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as home, World(Path(home)) as world:
        results = side_by_side(world, options)
        text = report.markdown(results)
        found = report.verdicts(results)
        if options.memory:
            text += memory(world, options.connections)
        if options.growth:
            series = {what: list(growth.grow(world, what, 2)) for what in growth.SERIES}
            series["idle connections"] = list(growth.grow_idle(world, 2))
            text += report.growth_markdown(series)
        if options.fairness:
            runs = [fairness.compare(world, options.secs) for _ in range(options.reps)]
            text += fairness.markdown(runs)
        if options.observed:
            text += observed.markdown(observed.interleaved(world, options.reps, options.secs))
        if options.updates:
            seen = {
                kind: [updates.measure_updates(world, kind, 6) for _ in range(options.reps)]
                for kind in updates.KINDS
            }
            text += updates.markdown(seen)
        if options.rules:
            spent = {
                kind: [rules.measure_rules(kind) for _ in range(options.reps)]
                for kind in rules.KINDS
            }
            text += rules.markdown(spent)
    print(text)
    if options.write:
        report.replace_between_markers(DOCUMENT, text)
        CHART.write_text(report.chart(found))
    return int(any(one.text == "missed" for one in found))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios: " + ", ".join(SCENARIOS),
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all by default")
    parser.add_argument("--reps", type=int, default=3, help="repetitions (3)")
    parser.add_argument("--secs", type=int, default=3, help="seconds of each measurement (3)")
    parser.add_argument("--peers", help="only these, with commas between them")
    parser.add_argument("--python", action="append", default=[], help="meshproxy by it as well")
    parser.add_argument("--memory", action="store_true", help="memory and the time to start too")
    parser.add_argument("--connections", type=int, default=5000, help="idle ones, for --memory")
    parser.add_argument("--growth", action="store_true", help="growth of the cost too")
    parser.add_argument("--fairness", action="store_true", help="greedy clients, overload too")
    parser.add_argument("--updates", action="store_true", help="updates of a large service too")
    parser.add_argument("--rules", action="store_true", help="the cost of egress rules too")
    parser.add_argument("--observed", action="store_true", help="everything reported too")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md and .svg")
    options = parser.parse_args()
    options.scenarios = options.scenarios or list(SCENARIOS)
    unknown = set(options.scenarios) - set(SCENARIOS)
    unknown |= set((options.peers or "relay").split(",")) - set(PEERS)
    if unknown:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    return options


def side_by_side(world: World, options: argparse.Namespace) -> report.Results:
    """Measure every proxy in every scenario, all of them in each repetition."""
    results: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for _ in range(options.reps):
        for name in options.scenarios:
            for proxy in proxies(name, options):
                measured = one(world, name, proxy, options.secs)
                results[name, proxy.name].append(measured)
                say(f"{name} {proxy.name}: {measured.cpu_us:.1f} us, {measured.per_s:.0f}/s")
    return results


def proxies(name: str, options: argparse.Namespace) -> list[Proxy]:
    """Return those to measure in the scenario *name*; who is missing is named, once."""
    wanted = SCENARIOS[name].peers() if options.peers is None else options.peers.split(",")
    found = [MESHPROXY, *map(by, options.python)]
    for peer in (PEERS[each] for each in wanted):
        if SCENARIOS[name].over_tls and not peer.can_tls:
            continue
        if peer.is_here:
            found.append(peer)
        elif peer.name not in MISSING:
            MISSING.add(peer.name)
            say(f"{peer.name} is not here and is left out: {WHERE[peer.name]}")
    return found


MISSING: set[str] = set()


def one(world: World, name: str, proxy: Proxy, seconds: int) -> Measured:
    """Start *proxy*, compare bytes, measure, and stop it."""
    scenario = SCENARIOS[name]
    running = Running(proxy, world, over_tls=scenario.over_tls)
    try:
        check(running, world, scenario)
        return measure(running, world, scenario, seconds)
    finally:
        running.stop()


def memory(world: World, connections: int) -> str:
    """Return lines about idle connections and about the start."""
    lines = [""]
    for proxy in (MESHPROXY, PEERS[IDLE_GOAL.peer]):
        if not proxy.is_here:
            continue
        running = Running(proxy, world)
        try:
            kib = growth.idle_kib(running, world, connections)
            lines.append(f"- {connections:,} idle connections, {proxy.name}: {kib:.1f} KiB each")
        finally:
            running.stop()
    seconds, kib = growth.start_up(world)
    must, aim = MEMORY_GOAL_MB
    lines.append(f"- must and aim of the idle ratio: {IDLE_GOAL.must:.2f}, {IDLE_GOAL.aim:.2f}")
    lines.append(
        f"- after the start: {kib / 1024:.1f} MB resident (must {must}, aim {aim}), "
        f"served after {seconds:.2f} s"
    )
    return "\n".join(lines) + "\n"


def say(text: str) -> None:
    """Print *text* on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
