"""How a configuration chooses what is kept of the latest requests."""

from meshproxy.http.headers import of
from meshproxy.http.message import Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import SLOW_MS, RecentRequests
from meshproxy.recent.wanted import Wanted
from meshproxy.telemeters.recent_requests import RecentRequestsConfig
from meshproxy.telemeters.telemeter import TelemeterDeps
from tests.kit.messages import request


def test_a_share_is_kept_from_its_start_to_its_end() -> None:
    recent = RecentRequests()
    deps = TelemeterDeps(Tree(), recent=recent)
    telemeter = RecentRequestsConfig(sample_rate=1.0, capacity=2, slow_ms=5).build(deps)
    other = RecentRequestsConfig(sample_rate=0.0).build(deps)
    telemeter.start()
    for latency_ms in (1.0, 2.0, 3.0, 5.0):
        recent.ended("http", "ip/1", request(), Response(200, b"OK", of()), latency_ms)
    assert [one.latency_ms for one in recent.latest(Wanted(), 9)] == [5.0, 3.0, 2.0]
    telemeter.close()
    assert recent.from_ms < 0
    other.start()
    assert recent.from_ms == SLOW_MS
