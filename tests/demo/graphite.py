"""The article's world with statsd, carbon and graphite: `python -m tests.demo graphite`."""

import json
from collections import Counter
from random import Random

import gevent

from tests.demo.dashboards import DIRECTORY
from tests.demo.world import EXTERNAL, World
from tests.kit.graphite import Graphite, install, missing
from tests.kit.wire import get

DASHBOARD = "meshproxy"
_NAMES = {"hello": 4, "flaky": 3, EXTERNAL: 1, "gone": 1}
"""What is asked for, and how often of nine times."""


def main() -> int:
    """Start everything, show where, and drive traffic until interrupted."""
    if missing() is not None:
        print(f"installing {missing()} below .tox ...", flush=True)
        install()
    with Graphite() as graphite, World(graphite.statsd_port) as world:
        graphite.save_dashboard(DASHBOARD, json.loads((DIRECTORY / "graphite.json").read_text()))
        print(f"graphite: {graphite.url}/dashboard/{DASHBOARD}")
        print(f"the proxy: http://127.0.0.1:{world.admin_port}/")
        print("driving traffic until ^C", flush=True)
        random = Random(1)
        try:
            while True:
                drive(world.port, 20, random)
                gevent.sleep(0.5)
        except KeyboardInterrupt:
            print()
    return 0


def drive(port: int, requests: int, random: Random) -> Counter[tuple[str, int]]:
    """Send so many *requests* to the proxy; return their number by host and status."""
    hosts = random.choices(list(_NAMES), list(_NAMES.values()), k=requests)
    return Counter((host, get(port, host, "/").status) for host in hosts)
