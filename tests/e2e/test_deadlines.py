"""Deadlines and timeouts of whole requests: what endpoints are told, and what ends when."""

import time
from collections.abc import Sequence
from time import monotonic

import gevent
import pytest

from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WAIT_S, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  client: {{{client}}}
  service: {{{service}}}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""
HEADER = "l5d-ctx-deadline"
SECOND = 1_000_000_000
SERVER = "rt/http/server/127.0.0.1/0/"


def config(port: int, server: str = "", service: str = "", client: str = "") -> str:
    return CONFIG.format(port=port, server=server, service=service, client=client)


def ok(_: Received) -> Answer:
    return Answer(body=b"x")


def told(values: Sequence[str], server: str = "", **settings: str) -> tuple[str | None, int, int]:
    """Return what the endpoint saw of *values*, and the moments before and after."""
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, server, **settings)) as proxy,
    ):
        before = time.time_ns()
        reply = get(proxy.port(), "a", "/", *(f"{HEADER}: {value}" for value in values))
        after = time.time_ns()
    assert reply.status == 200
    return origin.requests[0].get(HEADER), before, after


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([], None),
        (["1 2"], "1 2"),
        (["1000 9000", "2000 8000"], "2000 8000"),
        (["soon"], "soon"),
    ],
)
def test_without_timeouts_endpoints_are_told_what_came(values: list[str], seen: str | None) -> None:
    assert told(values)[0] == seen


@pytest.mark.parametrize(
    ("server", "settings", "seconds"),
    [
        ("timeoutMs: 7000", {}, 7),
        ("", {"service": "totalTimeoutMs: 6000"}, 6),
        ("", {"client": "requestAttemptTimeoutMs: 5000"}, 5),
        ("timeoutMs: 7000", {"client": "requestAttemptTimeoutMs: 8000"}, 7),
        (
            "timeoutMs: 7000",
            {"service": "totalTimeoutMs: 6000", "client": "requestAttemptTimeoutMs: 5000"},
            5,
        ),
    ],
)
def test_every_timeout_shortens_what_endpoints_are_told(
    server: str, settings: dict[str, str], seconds: int
) -> None:
    seen, before, after = told([f"1 {2**62}"], server, **settings)
    timestamp, deadline = map(int, (seen or "").split())
    assert before <= timestamp <= after
    assert before <= deadline - seconds * SECOND <= after


@pytest.mark.parametrize("off", ["0", "-1"])
def test_a_timeout_that_is_off_is_not_told(off: str) -> None:
    settings = {"service": f"totalTimeoutMs: {off}", "client": f"requestAttemptTimeoutMs: {off}"}
    assert told([], f"timeoutMs: {off}", **settings)[0] is None


def test_a_server_that_clears_the_context_believes_no_deadline() -> None:
    assert told(["1 2"], "clearContext: true, enforceDeadlines: true")[0] is None


def test_an_expired_request_is_only_counted_unless_deadlines_are_enforced() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port)) as proxy:
        assert get(proxy.port(), "a", "/", f"{HEADER}: 1 2").status == 200
        metrics = proxy.metrics()
    assert metrics[f"{SERVER}admission_control/deadline/exceeded"] == 1
    assert f"{SERVER}admission_control/deadline/rejected" not in metrics


def test_an_expired_request_is_refused_without_being_sent() -> None:
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, "enforceDeadlines: true")) as proxy,
    ):
        reply = get(proxy.port(), "a", "/", f"{HEADER}: 1 2")
        metrics = proxy.metrics()
    assert (reply.status, reply.get("l5d-retryable"), origin.requests) == (503, None, [])
    assert "had+passed" in (reply.get("l5d-err") or "")
    assert metrics[f"{SERVER}admission_control/deadline/rejected"] == 1
    assert metrics[f"{SERVER}failures/deadline"] == 1


def test_an_enforced_deadline_ends_the_waiting() -> None:
    with (
        BadServer([[Until(), Stall()]]) as endpoint,
        Proxy(config(endpoint.port, "enforceDeadlines: true")) as proxy,
    ):
        now = time.time_ns()
        reply = get(proxy.port(), "a", "/", f"{HEADER}: {now} {now + SECOND // 5}")
        assert time.time_ns() - now >= SECOND // 5 - SECOND // 50
    assert reply.status == 503
    assert "the deadline in l5d-ctx-deadline to /svc/a" in reply.body.decode()
    assert len(endpoint.received) == 1


# --- no attempt after the total ---

AGAIN = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
ALL = "responseClassifier: {kind: io.l5d.http.retryableAll5XX}"


@pytest.mark.parametrize(
    ("server", "service"),
    [
        ("", f"totalTimeoutMs: 300, {ALL}"),
        ("timeoutMs: 300", ALL),
        ("enforceDeadlines: true", ALL),
    ],
)
def test_no_attempt_begins_after_the_total_is_over(server: str, service: str) -> None:
    service += ", retries: {backoff: {kind: constant, ms: 120}}"
    with (
        BadServer([[Until(), Send(AGAIN)]]) as endpoint,
        Proxy(config(endpoint.port, server, service=service)) as proxy,
    ):
        started, now = monotonic(), time.time_ns()
        fields = [f"{HEADER}: {now} {now + SECOND * 3 // 10}"] if "enforce" in server else []
        reply = get(proxy.port(), "a", "/", *fields)
        taken = monotonic() - started
        assert reply.status == 503
        metrics = proxy.metrics()
        retries = metrics["rt/http/service/svc/a/retries/total"]
        wait_until(lambda: len(endpoint.received) == 1 + retries)  # the last one may be on its way
        assert 1 <= retries <= 2
    assert taken < 5
    assert metrics["rt/http/service/svc/a/requests"] == 1


def test_the_total_interrupts_the_attempt_that_runs() -> None:
    with (
        BadServer([[Until(), Send(AGAIN)], [Until(), Stall()]]) as endpoint,
        Proxy(config(endpoint.port, service=f"totalTimeoutMs: 300, {ALL}")) as proxy,
    ):
        reply = get(proxy.port(), "a")
        assert reply.status == 503
        assert "exceeded 0.3.seconds to /svc/a" in reply.body.decode()
        assert "including retries" in reply.body.decode()
        assert len(endpoint.received) == 2


def test_the_total_interrupts_the_binding_of_a_name() -> None:
    namers = "namers: [{kind: io.l5d.k8s, host: 127.0.0.1, port: 1}]\nrouters:"
    text = config(1, service="totalTimeoutMs: 200").replace("routers:", namers)
    text = text.replace("/svc/* => /$/inet/127.0.0.1/1", "/svc => /#/io.l5d.k8s/default/http")
    started = monotonic()
    with Proxy(text) as proxy:
        reply = get(proxy.port(), "a")
    assert (reply.status, monotonic() - started < 5) == (503, True)
    assert "exceeded 0.2.seconds to /svc/a" in reply.body.decode()


# --- a client that is slow to send ---

STALLED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nha"


@pytest.mark.parametrize(
    ("server", "settings"),
    [
        ("timeoutMs: 200", {}),
        ("", {"service": "totalTimeoutMs: 200"}),
        ("", {"client": "requestAttemptTimeoutMs: 200, failureAccrual: {failures: 1, kind: "
                        "io.l5d.consecutiveFailures}"}),
    ],
)  # fmt: skip
def test_a_client_that_stalls_in_its_request_is_told_so_and_harms_nobody(
    server: str, settings: dict[str, str]
) -> None:
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, server, **settings)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(STALLED)
        assert client.read().status == 408
        assert client.read_to_end() == b""
        assert get(proxy.port(), "a").status == 200
        metrics = proxy.metrics()
    assert [one.method for one in origin.requests] == ["GET"]
    scope = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
    assert metrics[f"{scope}/failure_accrual/removals"] == 0
    assert metrics[f"{scope}/failures/client_timeout"] == 1


def test_a_client_that_drips_does_not_get_more_time_for_it() -> None:
    settings = {"service": "totalTimeoutMs: 300"}
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, **settings)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(STALLED.replace(b": 9", b": 1002"))
        reading = gevent.spawn(client.read)
        for _ in range(1000):
            passed_on = sum(map(len, origin.wire))
            client.send(b"h")
            wait_until(lambda was=passed_on: reading.ready() or sum(map(len, origin.wire)) > was)
            if reading.ready():
                break
        assert reading.get(timeout=WAIT_S).status in {408, 503}
    assert origin.requests == []
