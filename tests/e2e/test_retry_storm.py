"""With every endpoint failing, retries stay what the budget of the traffic pays for."""

import pytest
from gevent.server import StreamServer

from tests.e2e.test_routing import config
from tests.kit.badserver import BadServer, Reset, Script, Send, Until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient

REQUESTS = 200
SHARE = 0.2
RESERVE = 20
"""Two a second in a window of ten."""
BUDGET = f"{{minRetriesPerSec: 2, percentCanRetry: {SHARE}, ttlSecs: 10}}"
FAILING = f"""
  service:
    retries: {{budget: {BUDGET}}}
    responseClassifier: {{kind: io.l5d.http.retryableRead5XX}}
  client:
    requeueBudget: {BUDGET}
    failureAccrual: {{kind: none}}
"""
NACK = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def attempts(port: int) -> float:
    """Send the requests, each of which fails; return how often they were attempted."""
    with Proxy(config(port, FAILING)) as proxy, WireClient(proxy.port()) as client:
        for _ in range(REQUESTS):
            assert client.get("web").status >= 500
        return proxy.metrics()[f"rt/http/client/$/inet/127.0.0.1/{port}/requests"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([Until(), Send(NACK.replace(b"Retry-After: 0\r\n", b""))], id="503"),
        pytest.param([Until(), Send(NACK)], id="not taken"),
        pytest.param([Until(), Reset()], id="reset"),
        pytest.param([Until(), Send(b"SSH-2.0\r\n\r\n")], id="garbage"),
    ],
)
def test_failing_endpoints_get_no_storm(script: Script) -> None:
    with BadServer([script]) as endpoint:
        count = attempts(endpoint.port)
    assert (1 + SHARE) * REQUESTS < count <= (1 + SHARE) * REQUESTS + 2 * RESERVE


def test_an_endpoint_that_refuses_gets_no_storm() -> None:
    gone = StreamServer(("127.0.0.1", 0), print)
    gone.start()
    port = gone.server_port
    gone.stop()
    assert attempts(port) <= (1 + SHARE) * REQUESTS + 2 * RESERVE
