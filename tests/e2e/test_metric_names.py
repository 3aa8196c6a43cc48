"""What a running proxy counts is what the list of metrics says it counts."""

from meshproxy.metrics.instruments import Instrument
from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.metric import Kind
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


def is_described(scope: tuple[str, ...], instrument: Instrument) -> bool:
    """Whether the list has an entry that *scope* and the kind of *instrument* match."""
    entry = entry_of(scope)
    return entry is not None and entry.kind == KINDS[type(instrument).__name__]


def test_every_metric_is_in_the_list() -> None:
    with (
        Downstream(lambda _: Answer(status=503)) as origin,
        Proxy(CONFIG.format(port=origin.port)) as proxy,
    ):
        get(proxy.port(), "web")
        get(proxy.port(), "gone")
        get(proxy.port(), "unknown")
        metrics = list(proxy.linker.metrics.walk())
        page = get(proxy.linker.admin_port, "localhost", "/admin/metrics/prometheus").body.decode()
    assert len(metrics) > 100
    assert ["/".join(scope) for scope, one in metrics if not is_described(scope, one)] == []
    lines = page.splitlines()
    before = dict(zip(lines[1:], lines, strict=False))
    types = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(types) == len(set(types)) > 50
    assert [
        line
        for line in lines
        if line.startswith("# TYPE ") and not before[line].startswith(f"# HELP {line.split()[2]} ")
    ] == []
