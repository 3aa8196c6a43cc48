"""What an update of a service of many endpoints costs, and how long a request waits meanwhile."""

import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from statistics import median
from time import monotonic, sleep
from typing import Final, NamedTuple

from tests.bench import agent, configs
from tests.bench.growth import Config, running
from tests.bench.load import HOST
from tests.bench.machine import cores, cpu_s, settle
from tests.bench.proxies import Running
from tests.bench.world import World, free_port
from tests.kit.daemons import Daemon

KINDS: Final = ("catalog", "health")
ENDPOINTS: Final = 10_000
INTERVAL_S: Final = 0.5
"""Between two updates."""
ASK_EVERY_S: Final = 0.01
CPU_GOAL_MS: Final = 100.0
WAIT_GOAL_MS: Final = 20.0


class Update(NamedTuple):
    """What was measured in one repetition."""

    cpu_ms: float
    """CPU time of the proxy for one update."""
    longest_ms: float
    """The longest that a request took while there were updates."""
    longest_quiet_ms: float
    """The same without updates."""


class _Asked(NamedTuple):
    """What a series of requests came to."""

    cpu_s: float
    longest_s: float


def measure_updates(world: World, kind: str, seconds: float, endpoints: int = ENDPOINTS) -> Update:
    """Ask on one connection for *seconds* without updates, and as long with them."""
    port = free_port()
    log = world.home / f"agent-{kind}.log"
    asked = [str(port), str(endpoints), str(INTERVAL_S), str(world.port)]
    command = ["taskset", "-c", cores()[1], sys.executable, "-m", "tests.bench.agent", *asked]
    consul = Daemon(command, log)
    try:
        consul.wait_port(port)
        with running(world, beside_consul(port, kind)) as proxy:
            _ask(proxy, HOST, 1.0)
            settle(proxy.pids)
            quiet = _ask(proxy, HOST, seconds)
            _ask(proxy, agent.SERVICE, 4 * INTERVAL_S)
            before = log.read_text().count("answered")
            busy = _ask(proxy, HOST, seconds)
            updates = log.read_text().count("answered") - before
    finally:
        consul.stop()
    assert updates, "no update came"
    used_s = busy.cpu_s - quiet.cpu_s
    return Update(used_s / updates * 1000, busy.longest_s * 1000, quiet.longest_s * 1000)


def beside_consul(port: int, kind: str) -> Config:
    """Lead one name to the agent at *port*."""

    def config(world: World, own_port: int, over_tls: bool) -> str:
        health = str(kind == "health").lower()
        namer = (
            f"- {{kind: io.l5d.consul, host: 127.0.0.1, port: {port}, useHealthCheck: {health}}}"
        )
        text = configs.meshproxy(world, own_port, over_tls)
        text = text.replace("namers:\n", f"namers:\n{namer}\n", 1)
        rule = f"    /svc/{agent.SERVICE} => /#/io.l5d.consul/dc1/{agent.SERVICE} ;\n"
        return text.replace("    /svc/web =>", f"{rule}    /svc/web =>", 1)

    return config


def _ask(proxy: Running, host: str, seconds: float) -> _Asked:
    """Ask for *seconds*, one request after the other."""
    client = HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    longest, pids = 0.0, proxy.pids
    used, end = cpu_s(pids), monotonic() + seconds
    while monotonic() < end:
        began = monotonic()
        client.request("GET", "/small", headers={"Host": host})
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200, f"{host}: {answer.status}"
        longest = max(longest, monotonic() - began)
        sleep(ASK_EVERY_S)
    client.close()
    return _Asked(cpu_s(pids) - used, longest)


def markdown(found: Mapping[str, Sequence[Update]]) -> str:
    """Return a table of the medians of all repetitions."""
    what = f"one of {ENDPOINTS:,} endpoints of Consul moves"
    goals = f"CPU, goal {CPU_GOAL_MS:.0f} ms | longest request, goal {WAIT_GOAL_MS:.0f} ms"
    lines = ["", f"| {what} | {goals} | without updates |", "| --- | --- | --- | --- |"]
    for kind, ones in found.items():
        cpu, longest, quiet = (median(column) for column in zip(*ones, strict=True))
        lines.append(f"| {kind} | {cpu:.0f} ms | {longest:.1f} ms | {quiet:.1f} ms |")
    return "\n".join(lines) + "\n"
