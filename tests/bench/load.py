"""The load: wrk for the measurement, and one careful client that compares bytes before it."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from tests.bench.machine import cores, cpu_s
from tests.bench.proxies import Running
from tests.bench.scenarios import Scenario
from tests.bench.world import FILES, SMALL, World
from tests.kit.daemons import find

HOST = "web"
_LONGEST_S = 600
_LUA = """\
wrk.path = {path}
wrk.headers["Host"] = {host}
wrk.headers["Accept"] = "*/*"
wrk.headers["User-Agent"] = "bench"
{more}
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
_POST = 'wrk.method = "POST" wrk.body = string.rep("b", {size})\n'
_PIPELINED = """\
local batch
init = function()
  batch = string.rep(wrk.format(), {pipelined})
end
request = function()
  return batch
end
"""
_NAMES = """\
local n = 0
request = function()
  n = (n + 1) % {names}
  wrk.headers["Host"] = "h" .. n
  return wrk.format()
end
"""


class Measured(NamedTuple):
    """What one window of load came to."""

    cpu_us: float
    """CPU time of all the proxy's processes for each request."""
    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def measure(
    running: Running, world: World, scenario: Scenario, seconds: int, names: int = 0
) -> Measured:
    """Load *running* for a second to warm up and for *seconds* to measure.

    With *names*, so many different hosts are asked for in turn.
    """
    script = world.home / "load.lua"
    script.write_text(_script(running, world, scenario, names))
    _wrk(running, scenario, script, 1)
    pids = running.pids
    before = cpu_s(pids)
    requests, duration_us, errors, p50_us, p99_us = _wrk(running, scenario, script, seconds)
    used_s = cpu_s(pids) - before
    return Measured(
        used_s / max(requests, 1) * 1e6,
        requests / (duration_us / 1e6),
        p50_us / 1000,
        p99_us / 1000,
        errors,
    )


@contextmanager
def beside(running: Running, world: World, scenario: Scenario) -> Iterator[None]:
    """Load *running* meanwhile. Raises AssertionError when nothing was served, or with errors."""
    script = world.home / "beside.lua"
    script.write_text(_script(running, world, scenario))
    command = _command(running, scenario, script, _LONGEST_S)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            yield
        finally:
            wrk.send_signal(signal.SIGINT)
            output, _ = wrk.communicate()
    requests, _, errors, *_ = _result(output)
    assert requests, f"nothing served of {scenario}"
    assert not errors, f"{errors} errors of {scenario}"


def check(running: Running, world: World, scenario: Scenario) -> None:
    """Compare the bytes of *scenario*'s bodies, both ways. Raises AssertionError."""
    expected = {"/10k": FILES["10k"], "/chunked": FILES["10k"], "/1m": FILES["1m"]}
    for _ in range(3):
        status, body = _ask(running, world, "GET", scenario.path.replace("/post", "/small"))
        wanted = expected.get(scenario.path, SMALL)
        assert (status, body == wanted) == (200, True), f"{running.proxy.name}: {scenario.path}"
    if scenario.sent:
        sent = (FILES["1m"] * 2)[: scenario.sent - 1] + b"!"
        status, _ = _ask(running, world, "PUT", f"/put/{running.proxy.name}", sent)
        stored = (world.home / "www" / "put" / running.proxy.name).read_bytes()
        assert (status // 100, stored == sent) == (2, True), f"{running.proxy.name}: PUT"


def _ask(
    running: Running, world: World, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    client = HTTPConnection("127.0.0.1", running.port, timeout=20)
    try:
        client.request(method, _target(running, world, path), body, {"Host": _host(running, world)})
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def _target(running: Running, world: World, path: str) -> str:
    return f"http://127.0.0.1:{world.port}{path}" if running.proxy.is_forward else path


def _host(running: Running, world: World) -> str:
    return f"127.0.0.1:{world.port}" if running.proxy.is_forward else HOST


def _script(running: Running, world: World, scenario: Scenario, names: int = 0) -> str:
    more = _POST.format(size=scenario.sent) if scenario.sent else ""
    more += _PIPELINED.format(pipelined=scenario.pipelined) if scenario.pipelined > 1 else ""
    more += _NAMES.format(names=names) if names else ""
    return _LUA.format(
        path=json.dumps(_target(running, world, scenario.path)),
        host=json.dumps(_host(running, world)),
        more=more,
    )


def _wrk(running: Running, scenario: Scenario, script: Path, seconds: int) -> tuple[int, ...]:
    """Requests, microseconds, errors, and two percentiles in microseconds."""
    command = _command(running, scenario, script, seconds)
    return _result(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def _command(running: Running, scenario: Scenario, script: Path, seconds: int) -> list[str]:
    command = ["taskset", "-c", cores()[1], find("wrk") or "wrk", "-t1"]
    command += [f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "30s"]
    return [*command, "-s", str(script), f"http://127.0.0.1:{running.port}/"]


def _result(output: str) -> tuple[int, ...]:
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    assert found, f"wrk said:\n{output}"
    return tuple(map(int, found.groups()))
