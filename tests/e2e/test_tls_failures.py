"""What TLS to an endpoint comes to when one side refuses the other: one handshake a request."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.proxy import client as scope
from tests.kit.wire import Reply, WireClient

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


class World:
    """A proxy before an endpoint whose TLS it refuses, or which refuses its own."""

    def __init__(self, proxy: Proxy, endpoint: Downstream) -> None:
        self._proxy = proxy
        self._endpoint = endpoint
        self._scope = scope(endpoint.port)

    def ask(self) -> Reply:
        """Send one request."""
        with WireClient(self._proxy.port()) as client:
            return client.get("web")

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


REFUSED = [
    pytest.param(of_another_name, "b.test", id="another name"),
    pytest.param(of_another_authority, "unable to get local issuer", id="another authority"),
    pytest.param(expired, "expired", id="expired"),
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
