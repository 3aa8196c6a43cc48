"""The load: h2load, or a client of ours where each request has values that are new."""

import re
import subprocess
import sys
from pathlib import Path

from tests.bench.h2.scenarios import H2Scenario
from tests.bench.h2.world import GRPC_MESSAGE, PATHS
from tests.bench.load import HOST, Measured
from tests.bench.machine import cores, cpu_s
from tests.bench.proxies import Running
from tests.bench.world import FILES, SMALL, World
from tests.kit.daemons import find

_WARM_UP_REQUESTS, _WARM_UP_BULK = 2000, 60
_MOST_NEW = 12_000
"""Requests with new values that are made before they are sent."""


def measure(running: Running, world: World, scenario: H2Scenario, seconds: float) -> Measured:
    """Load *running* to warm up, and then with as many requests as take about *seconds*."""
    is_bulk = scenario.path == "/1m" or scenario.sent
    count = _WARM_UP_BULK if is_bulk else _WARM_UP_REQUESTS
    _, duration_us, *_ = _load(running, world, scenario, count)
    count = max(count, int(count * seconds * 1e6 / duration_us))
    pids = running.pids
    before = cpu_s(pids)
    requests, duration_us, errors, p50_us, p99_us = _load(running, world, scenario, count)
    used_s = cpu_s(pids) - before
    served = max(requests - errors, 1)
    return Measured(
        used_s / served * 1e6, served / (duration_us / 1e6), p50_us / 1000, p99_us / 1000, errors
    )


def check(running: Running, scenario: H2Scenario) -> None:
    """Compare the bytes of *scenario*'s response. Raises AssertionError."""
    wanted = {"/1m": FILES["1m"], "/grpc": GRPC_MESSAGE}.get(scenario.path, SMALL)
    assert _ask(running, scenario.path) == wanted, f"{running.proxy.name}: {scenario.path}"


def check_echo(running: Running, body: Path) -> None:
    """Compare a body that the upstream of *running* sends back. Raises AssertionError."""
    assert _ask(running, "/small", "--data-binary", f"@{body}") == body.read_bytes()


def _ask(running: Running, path: str, *more: str) -> bytes:
    command = [find("curl") or "curl", "-s", "--http2-prior-knowledge", "-H", f"Host: {HOST}"]
    command += ["--max-time", "20", *more, f"http://127.0.0.1:{running.port}{path}"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def _load(running: Running, world: World, scenario: H2Scenario, count: int) -> tuple[int, ...]:
    """Requests, microseconds, errors, and two percentiles in microseconds."""
    taskset = ["taskset", "-c", cores()[1]]
    if scenario.new_values:
        count = min(count, _MOST_NEW)
        numbers = (running.port, scenario.streams, scenario.new_values, count)
        ours = [sys.executable, "-m", "tests.bench.h2.client", *map(str, numbers)]
        output = _output([*taskset, *ours])
        found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
        assert found, f"the client said:\n{output}"
        return tuple(map(int, found.groups()))
    log = world.home / "h2load.log"
    log.unlink(missing_ok=True)
    command = [*taskset, *_h2load(world, scenario, count), "--log-file", str(log)]
    uris = f"http://127.0.0.1:{running.port}"
    paths = [f"/s{n}" for n in range(PATHS)] if scenario.paths > 1 else [scenario.path]
    output = _output([*command, *(uris + path for path in paths)])
    duration = re.search(r"^finished in ([\d.]+)(us|ms|s),", output, re.MULTILINE)
    succeeded = re.search(r"^status codes: (\d+) 2xx", output, re.MULTILINE)
    assert duration and succeeded, f"h2load said:\n{output}"  # noqa: PT018 - one cause
    scale = {"us": 1, "ms": 1000, "s": 1_000_000}[duration[2]]
    took_us = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    p50, p99 = (took_us[len(took_us) * per // 100] for per in (50, 99))
    return count, int(float(duration[1]) * scale), count - int(succeeded[1]), p50, p99


def _h2load(world: World, scenario: H2Scenario, count: int) -> list[str]:
    command = [find("h2load") or "h2load", "-n", str(count), "-c", str(scenario.connections)]
    command += ["-m", str(scenario.streams), "-H", f":authority: {HOST}"]
    if scenario.is_grpc:
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += ["-d", str(world.home / "www" / "grpc")]
    elif scenario.sent:
        command += ["-d", str(world.home / "www" / "1m")]
    return command


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr
