"""What it costs a small request that everything about it is reported."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median
from typing import Final, NamedTuple

import gevent
from gevent import socket
from gevent.pywsgi import WSGIServer

from tests.bench.load import check, measure
from tests.bench.proxies import MESHPROXY, Running
from tests.bench.scenarios import Scenario
from tests.bench.world import World, free_port
from tests.kit.wire import get

GOAL: Final = 1.15
"""CPU time with everything on, to that with everything off."""
SCRAPE_S: Final = 5.0
ALL: Final = "all of it"
EVERYTHING: Final = ("statsd", "prometheus", "zipkin", "recentRequests", "access log")
_KINDS: Final = {
    "statsd": "{{kind: io.l5d.statsd, experimental: true, port: {statsd}, sampleRate: 1.0}}",
    "prometheus": "{{kind: io.l5d.prometheus}}",
    "zipkin": "{{kind: io.l5d.zipkin, host: 127.0.0.1, port: {spans}, sampleRate: 1.0}}",
    "otlp": "{{kind: io.l5d.otlp, endpoint: 'http://127.0.0.1:{spans}/', sampleRate: 1.0}}",
    "recentRequests": "{{kind: io.l5d.recentRequests, sampleRate: 1.0, capacity: 100}}",
}
_CONFIG: Final = """\
admin: {{port: {admin}}}
{telemetry}
routers:
- protocol: http
  {log}
  dtab: /svc/web => /$/inet/127.0.0.1/{upstream}
  client: {{loadBalancer: {{kind: ewma}}}}
  servers: [{{port: {port}}}]
"""


class Compared(NamedTuple):
    """CPU time of a request in one repetition, in microseconds."""

    off: float
    on: float


def compare(
    world: World, seconds: int, what: tuple[str, ...] = EVERYTHING, scenario: Scenario | None = None
) -> Compared:
    """Measure without and with *what*, one after the other."""
    asked = scenario or Scenario()
    return Compared(_cpu_us(world, seconds, (), asked), _cpu_us(world, seconds, what, asked))


def interleaved(world: World, times: int, seconds: int) -> dict[str, list[Compared]]:
    """Measure each kind of report, and all of them, so many *times*, one after the other."""
    found: dict[str, list[Compared]] = {}
    for _ in range(times):
        for what in (*EVERYTHING, ALL):
            chosen = EVERYTHING if what == ALL else (what,)
            found.setdefault(what, []).append(compare(world, seconds, chosen))
    return found


def markdown(found: Mapping[str, list[Compared]]) -> str:
    """Return the rows of the table, by what was on."""
    lines = [
        "",
        "| reported | CPU time of a small request, to that with nothing | from - to | goal |",
        "| --- | --- | --- | --- |",
    ]
    for what, runs in found.items():
        ratios = sorted(one.on / one.off for one in runs)
        goal = f"{GOAL:.2f}" if what == ALL else ""
        lines.append(
            f"| {what} | {median(ratios):.2f} | {ratios[0]:.2f} - {ratios[-1]:.2f} | {goal} |"
        )
    return "\n".join(lines) + "\n"


def _cpu_us(world: World, seconds: int, what: tuple[str, ...], scenario: Scenario) -> float:
    with ExitStack() as stack:
        ports = stack.enter_context(_collectors())
        admin = free_port()
        log = f"httpAccessLog: {world.home}/access.log" if "access log" in what else ""
        kinds = [_KINDS[one].format(**ports) for one in what if one in _KINDS]

        def config(world: World, port: int, over_tls: bool) -> str:
            del over_tls
            return _CONFIG.format(
                admin=admin,
                telemetry=f"telemetry: [{', '.join(kinds)}]" if kinds else "",
                log=log,
                upstream=world.port,
                port=port,
            )

        running = Running(replace(MESHPROXY, config=config), world)
        stack.callback(running.stop)
        if "prometheus" in what:
            scraper = gevent.spawn(_scrape, admin)
            stack.callback(scraper.kill)
        check(running, world, scenario)
        return measure(running, world, scenario, seconds).cpu_us


@contextmanager
def _collectors() -> Iterator[dict[str, int]]:
    """Take what is sent to them, at the ports of this dictionary."""

    def take(environ: Mapping[str, object], start: object) -> list[bytes]:
        environ["wsgi.input"].read()  # type: ignore[attr-defined]
        start("202 Accepted", [("Content-Length", "0")])  # type: ignore[operator]
        return [b""]

    spans = WSGIServer(("127.0.0.1", 0), take, log=None)
    spans.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        try:
            yield {"spans": spans.server_port, "statsd": statsd.getsockname()[1]}
        finally:
            spans.stop()


def _scrape(admin: int) -> None:
    while True:
        gevent.sleep(SCRAPE_S)
        get(admin, "localhost", "/admin/metrics/prometheus")
