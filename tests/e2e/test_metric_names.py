"""What a running proxy counts is what the list of metrics says it counts."""

from meshproxy.metrics.instruments import Instrument
from meshproxy.metrics.names import Kind, Metric, patterns
from tests.kit.downstream import Answer, Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
telemetry:
- {{kind: io.l5d.statsd, experimental: true, port: {port}}}
- {{kind: io.l5d.prometheus}}
- {{kind: io.l5d.recentRequests, sampleRate: 1.0}}
routers:
- protocol: http
  originator: true
  client: {{failFast: true, loadBalancer: {{kind: aperture}}}}
  dtab: /svc/web => /$/inet/127.0.0.1/{port} ; /svc/gone => /$/inet/127.0.0.1/1
  servers:
  - {{port: 0, ip: 127.0.0.1, maxConcurrentRequests: 9}}
"""

KINDS: dict[str, Kind] = {
    "Counter": "counter",
    "Total": "counter",
    "Gauge": "gauge",
    "Stat": "histogram",
}


def described(scope: tuple[str, ...], instrument: Instrument) -> Metric | None:
    """Return the entry of the list that *scope* and the kind of *instrument* match, if any."""
    kind = KINDS[type(instrument).__name__]
    for pattern, metric in patterns():
        if metric.kind == kind and len(pattern) == len(scope):
            pairs = zip(pattern, scope, strict=True)
            if all(element == name or element[0] == "<" for element, name in pairs):
                return metric
    return None


def test_every_metric_is_in_the_list() -> None:
    with (
        Downstream(lambda _: Answer(status=503)) as origin,
        Proxy(CONFIG.format(port=origin.port)) as proxy,
    ):
        get(proxy.port(), "web")
        get(proxy.port(), "gone")
        get(proxy.port(), "unknown")
        metrics = list(proxy.linker.metrics.walk())
    assert len(metrics) > 100
    assert ["/".join(scope) for scope, one in metrics if described(scope, one) is None] == []
