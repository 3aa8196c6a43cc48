"""One tree of spans for each request, through a whole proxy to a collector."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {{port: 0}}
telemetry:
- kind: io.l5d.zipkin
  host: 127.0.0.1
  port: {collector}
  sampleRate: {rate}{more}
routers:
- protocol: http
  label: outgoing
  dtab: /svc => /$/inet/127.0.0.1/{origin}
  tracePropagator: [{{kind: io.l5d.w3c}}, {{kind: io.l5d.zipkin}}, {{kind: io.l5d.default}}]
  service:
    responseClassifier: {{kind: io.l5d.http.retryableRead5XX}}
    retries: {{backoff: {{kind: constant, ms: 1}}}}
  servers: [{{port: 0}}]
"""
PARENT = "00-00000000000000d400000000000000c3-00000000000000a1-01"


class Origin(Downstream):
    """Fails first, then serves, and so on."""

    def __init__(self) -> None:
        super().__init__(self.answer)

    def answer(self, _received: Received) -> Answer:
        return Answer(200 if len(self.requests) % 2 == 0 else 503)


@pytest.fixture
def collector() -> Iterator[Downstream]:
    with Downstream(lambda _: Answer(202)) as server:
        yield server


def spans(collector: Downstream) -> list[dict[str, Any]]:
    """Return all that was posted."""
    return [span for post in collector.requests for span in json.loads(post.body)]


def test_a_retried_request_is_one_tree_below_the_callers_span(collector: Downstream) -> None:
    with Origin() as origin:
        text = CONFIG.format(collector=collector.port, origin=origin.port, rate=0, more="")
        with Proxy(text) as proxy:
            parent = f"traceparent: {PARENT}"
            assert get(proxy.port("outgoing"), "web", "/x", parent).status == 200
            wait_until(lambda: len(spans(collector)) == 3)
        first, second = origin.requests
    server = next(span for span in spans(collector) if span["kind"] == "SERVER")
    attempts = [span for span in spans(collector) if span["kind"] == "CLIENT"]
    assert server["parentId"] == "00000000000000a1"
    assert {span["traceId"] for span in spans(collector)} == {PARENT[3:35]}
    assert [span["parentId"] for span in attempts] == [server["id"]] * 2
    assert [span["tags"]["http.rsp.status"] for span in attempts] == ["503", "200"]
    assert attempts[0]["remoteEndpoint"] == {"ipv4": "127.0.0.1", "port": origin.port}
    told = [
        (one.get("x-b3-spanid"), (one.get("traceparent") or "")[36:52]) for one in (first, second)
    ]
    assert told == [(span["id"], span["id"]) for span in attempts]
    assert (first.get("x-b3-parentspanid"), first.get("l5d-reqid")) == (server["id"], PARENT[19:35])
    assert server["tags"]["service"] == "/svc/web"
    assert [one["value"] for one in server["annotations"]] == ["finagle.retry"]


def test_what_is_not_sampled_is_told_so_and_not_sent(collector: Downstream) -> None:
    with Origin() as origin:
        text = CONFIG.format(collector=collector.port, origin=origin.port, rate=0, more="")
        with Proxy(text) as proxy:
            assert get(proxy.port("outgoing"), "web").status == 200
        assert origin.requests[0].get("x-b3-sampled") == "0"
    assert collector.requests == []


def test_a_collector_that_is_gone_costs_no_request() -> None:
    with Origin() as origin:
        text = CONFIG.format(collector=1, origin=origin.port, rate=1, more="")
        with Proxy(text) as proxy:
            assert [get(proxy.port("outgoing"), "web").status for _ in range(5)] == [200] * 5
            proxy.wait_count("telemeter/zipkin", "failures")


def test_errors_are_sent_with_their_phases_whatever_was_sampled(collector: Downstream) -> None:
    more = "\n  sampleErrors: true\n  phaseSpans: true"
    with Origin() as origin:
        text = CONFIG.format(collector=collector.port, origin=origin.port, rate=0, more=more)
        with Proxy(text.replace("retryableRead5XX", "nonRetryable5XX")) as proxy:
            assert get(proxy.port("outgoing"), "web", "/failing").status == 503
            assert get(proxy.port("outgoing"), "web", "/fine").status == 200
        assert [one.get("x-b3-sampled") for one in origin.requests] == ["0", "0"]
    by_kind = {span.get("kind", span["name"]): span for span in spans(collector)}
    assert by_kind.keys() == {"SERVER", "CLIENT", "connect", "wait"}
    server, client = by_kind["SERVER"], by_kind["CLIENT"]
    assert (server["tags"]["error"], server["tags"]["http.uri"]) == ("503", "/failing")
    assert client["parentId"] == server["id"]
    assert by_kind["connect"]["parentId"] == by_kind["wait"]["parentId"] == client["id"]
    assert len({span["traceId"] for span in spans(collector)}) == 1
    for span in spans(collector):
        assert server["timestamp"] <= span["timestamp"]
        ends = span["timestamp"] + span["duration"]
        assert ends <= server["timestamp"] + server["duration"] + 1000
