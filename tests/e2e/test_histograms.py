"""Buckets of latencies add up over workers and hosts in a real Prometheus, as summaries do not."""

import json
from bisect import bisect_left
from math import ceil
from pathlib import Path

import gevent
import pytest

from meshproxy.telemeters.prometheus import PrometheusConfig
from tests.e2e.test_command import Serving
from tests.e2e.test_routing import config
from tests.e2e.test_workers import with_workers
from tests.kit.daemons import find
from tests.kit.downstream import Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.prometheus import Prometheus
from tests.kit.wire import get

TELEMETRY = """
telemetry:
- {kind: io.l5d.prometheus}
- {kind: io.l5d.recentRequests, sampleRate: 1.0, capacity: 1000}
"""
BUCKET = "rt:server:request_latency_ms_distribution_bucket"
LIMITS = (0, *PrometheusConfig().buckets_ms)
SENT = 40
"""Requests to each host."""


def slow(request: Received) -> bytes:
    """Answer after as many milliseconds as the target has."""
    gevent.sleep(int(request.target[1:]) / 1000)
    return b"served"


def latencies(serving: Serving) -> list[int]:
    """Return the milliseconds of each request, truncated as a histogram has them."""
    page = get(serving.admin_port, "localhost", "/requests.json?limit=1000").body
    return [int(one["latency_ms"]) for one in json.loads(page)["requests"]]


@pytest.mark.skipif(find("prometheus") is None, reason="Debian's package prometheus is missing")
def test_a_quantile_over_workers_and_hosts_is_that_of_all_requests(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("one", "two", "prometheus")]
    for home in homes:
        home.mkdir()
    with Downstream(slow) as origin:
        text = config(origin.port) + TELEMETRY
        one, two = Serving(with_workers(text), homes[0]), Serving(text, homes[1])
        with one.daemon, two.daemon:
            for number in range(SENT):  # the second host is slow, and has a tail
                get(one.port, "web", f"/{3 + number % 5}")
                get(two.port, "web", f"/{30 if number % 8 else 150}")
            wait_until(lambda: len(latencies(one)) == len(latencies(two)) == SENT)
            served = sorted(latencies(one) + latencies(two))
            with Prometheus(homes[2], one.admin_port, two.admin_port) as prometheus:
                for serving in (one, two):
                    of_host = f'{{instance="127.0.0.1:{serving.admin_port}", le="+Inf"}}'
                    assert prometheus.wait(f"{BUCKET}{of_host} == {SENT}")
                for share in (0.25, 0.5, 0.9, 0.99):
                    asked = f"histogram_quantile({share}, sum by (le) ({BUCKET}))"
                    ((_, found),) = (each["value"] for each in prometheus.query(asked))
                    exact = served[ceil(share * len(served)) - 1]
                    lowest = LIMITS[max(bisect_left(LIMITS, exact * 0.99) - 1, 0)]
                    assert lowest <= float(found) <= LIMITS[bisect_left(LIMITS, exact * 1.01)]
