"""What a request waited for when its time was up, as client, log and breaker learn it."""

import json
from pathlib import Path
from urllib.parse import unquote_plus

import gevent

from tests.kit.badserver import BadServer, Stall
from tests.kit.downstream import SlowDownstream
from tests.kit.faults import black_hole
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.proxy import client as scope
from tests.kit.wire import Reply, get

REMOVALS = "failure_accrual/removals"


def config(folder: Path, dst: str, *, api: int = 1, client: str = "") -> str:
    """Return a configuration whose first server gives each request for *dst* 100 ms."""
    return f"""
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.k8s, host: 127.0.0.1, port: {api}}}
routers:
- protocol: http
  dtab: /svc/web => {dst}
  httpAccessLog: {folder / "access.log"}
  httpAccessLogFormat: json
  servers:
  - {{port: 0, ip: 127.0.0.1, timeoutMs: 100}}
  - {{port: 0, ip: 127.0.0.1}}
  client:
    failureAccrual: {{kind: io.l5d.consecutiveFailures, failures: 1}}
    {client}
"""


def check(reply: Reply, folder: Path, doing: str, error: str) -> None:
    """Expect that body and `l5d-err` say that the request was *doing* that, the log *error*."""
    assert reply.status == 503
    for told in (reply.body.decode(), unquote_plus(reply.get("l5d-err") or "")):
        assert f"exceeded 0.1.seconds to /svc/web while {doing}" in told
    log = folder / "access.log"
    wait_until(
        lambda: (
            log.exists()
            and error in [json.loads(line)["error"] for line in log.read_text().splitlines()]
        )
    )


def test_a_wait_in_our_own_queue_is_told_and_blames_nobody(tmp_path: Path) -> None:
    with SlowDownstream() as endpoint:
        dst, one = f"/$/inet/127.0.0.1/{endpoint.port}", "hostConnectionPool: {maxSize: 1}"
        with Proxy(config(tmp_path, dst, client=one)) as proxy:
            first = gevent.spawn(get, proxy.port(server=1), "web")
            endpoint.wait_asked()
            second = get(proxy.port(), "web")
            endpoint.let_go()
            assert first.get().status == 200
            check(second, tmp_path, "waiting in the queue for a connection", "timeout_queue")
            assert f"Remote Info: {endpoint.address}" in second.body.decode()
            assert proxy.counts(scope(endpoint.port), REMOVALS, "failures/timeout_queue") == [0, 1]


def test_a_wait_for_a_binding_is_told(tmp_path: Path) -> None:
    with BadServer([[Stall()]]) as api:
        text = config(tmp_path, "/#/io.l5d.k8s/default/http/web", api=api.port)
        with Proxy(text) as proxy:
            reply = get(proxy.port(), "web")
            check(reply, tmp_path, "waiting for the name to be bound", "timeout_bind")


def test_a_wait_for_a_connection_is_told_and_blames_nobody(tmp_path: Path) -> None:
    with black_hole() as port, Proxy(config(tmp_path, f"/$/inet/127.0.0.1/{port}")) as proxy:
        reply = get(proxy.port(), "web")
        check(reply, tmp_path, "waiting for a connection", "timeout_connect")
        assert proxy.counts(scope(port), REMOVALS, "cancelled_connects") == [0, 1]


def test_a_wait_for_a_response_is_told_and_blames_the_endpoint(tmp_path: Path) -> None:
    with SlowDownstream() as endpoint:
        dst = f"/$/inet/127.0.0.1/{endpoint.port}"
        with Proxy(config(tmp_path, dst)) as proxy:
            reply = get(proxy.port(), "web")
            check(reply, tmp_path, "waiting for a response", "timeout")
            assert proxy.counts(scope(endpoint.port), REMOVALS) == [1]
