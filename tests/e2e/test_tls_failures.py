"""What TLS to an endpoint comes to when one side refuses the other: one handshake a request."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import gevent
import pytest

from tests.e2e.test_command import Serving
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.proxy import client as scope
from tests.kit.wire import Reply, WireClient, get

NAME = "a.test"
REQUESTS = 3
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def config(port: int, trusted: Path) -> str:
    """Return a configuration whose every name is at *port*, over TLS, with retries of every GET."""
    return f"""
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
  service: {{responseClassifier: {{kind: io.l5d.http.retryableAll5XX}}}}
  client:
    failureAccrual: {{kind: io.l5d.consecutiveFailures, failures: {REQUESTS}}}
    tls: {{commonName: {NAME}, trustCerts: ["{trusted}"]}}
"""


def _send_in_vain(client: WireClient, body: bytes) -> None:
    with suppress(OSError):
        client.send(body)


class World:
    """A proxy before an endpoint whose TLS it refuses, or which refuses its own."""

    def __init__(self, proxy: Proxy, endpoint: Downstream) -> None:
        self._proxy = proxy
        self._endpoint = endpoint
        self._scope = scope(endpoint.port)

    def ask(self, body: bytes = b"") -> Reply:
        """Send one request, and as much of *body* as is wanted."""
        with WireClient(self._proxy.port()) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: %d\r\n\r\n" % len(body))
            sending = gevent.spawn(_send_in_vain, client, body)
            reply = client.read()
            sending.kill()
            return reply

    @property
    def connections(self) -> int:
        """Those that the endpoint was asked for."""
        return len(self._endpoint.wire)

    def counts(self, *names: str) -> list[float]:
        """Return what the client's metrics of these *names* show."""
        return self._proxy.counts(self._scope, *names)


@contextmanager
def world(trusted: Path, context: ssl.SSLContext | None) -> Iterator[World]:
    """Serve over TLS by *context*, or in clear, behind a proxy that trusts *trusted*."""
    with (
        Downstream(lambda _: b"never", context=context) as endpoint,
        Proxy(config(endpoint.port, trusted)) as proxy,
    ):
        yield World(proxy, endpoint)


def of_another_name(certs: Certs, _: Certs) -> ssl.SSLContext:
    return certs.server("b.test")


def of_another_authority(_: Certs, other: Certs) -> ssl.SSLContext:
    return other.server(NAME)


def expired(certs: Certs, _: Certs) -> ssl.SSLContext:
    return certs.server(NAME, until=LONG_AGO)


def of_old(certs: Certs, _: Certs) -> ssl.SSLContext:
    context = certs.server(NAME, ask_for_client=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def asking_for_a_certificate(certs: Certs, _: Certs) -> ssl.SSLContext:
    context = certs.server(NAME, ask_for_client=True)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


REFUSED = [
    pytest.param(of_another_name, "b.test", id="another name"),
    pytest.param(of_another_authority, "unable to get local issuer", id="another authority"),
    pytest.param(expired, "certificate has expired", id="expired"),
    pytest.param(of_old, "demands a certificate of ours", id="wants our certificate, TLS 1.2"),
    pytest.param(
        asking_for_a_certificate, "demands a certificate of ours", id="wants our certificate"
    ),
]


@pytest.mark.parametrize(("serve", "why"), REFUSED)
def test_a_refusal_costs_one_handshake_a_request_and_says_why(
    serve: Callable[[Certs, Certs], ssl.SSLContext], why: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    certs, other = Certs(tmp_path), Certs(elsewhere)
    with world(certs.bundle, serve(certs, other)) as found:
        for number in range(1, REQUESTS + 1):
            reply = found.ask()
            assert (reply.status, found.connections) == (502, number)
            assert why in reply.body.decode()
            assert reply.get("l5d-err")
            assert reply.get("l5d-retryable") is None
        names = ("failures/tls", "retries/requeues", "failure_accrual/removals")
        assert found.counts(*names) == [REQUESTS, 0, 1]


def test_a_refusal_that_comes_while_a_body_is_sent_is_told_as_well(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    large = b"x" * 4_000_000
    with world(certs.bundle, asking_for_a_certificate(certs, certs)) as found:
        reply = found.ask(large)
        assert (reply.status, found.connections) == (502, 1)
        assert "demands a certificate of ours" in reply.body.decode()
        assert reply.get("l5d-retryable") is None


def test_refusals_are_one_line_in_the_log(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with Downstream(lambda _: b"never", context=certs.server("b.test")) as endpoint:
        serving = Serving(config(endpoint.port, certs.bundle), tmp_path)
        with serving.daemon:
            for _ in range(REQUESTS):
                assert get(serving.port, "web").status == 502
    log = serving.daemon.output().splitlines()
    told = [line for line in log if " WARNING " in line and "b.test" in line]
    assert len(told) == 1
    assert told[0].endswith(
        f" WARNING /$/inet/127.0.0.1/{endpoint.port} at {endpoint.address}: "
        "TLS to a.test failed: hostname 'a.test' doesn't match 'b.test'"
    )
