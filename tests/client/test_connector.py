"""Connections to an endpoint are opened within their time, and counted."""

from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.connector import H2, HTTP, Connector
from meshproxy.client.tls import TlsSettings, context
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import ConnectFailed
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.certs import Certs
from tests.kit.h2_endpoint import H2Endpoint
from tests.kit.wire import free_port

TRANSPORT = Transport(Limits(), 5.0)


def at(port: int) -> Address:
    return Address("127.0.0.1", port)


def test_an_open_connection_is_counted_until_it_is_closed() -> None:
    metrics = Tree()
    with H2Endpoint() as endpoint:
        connector = Connector(at(endpoint.port), TRANSPORT, ConnectStats(metrics), HTTP)
        connection = PlainConnection("127.0.0.1", endpoint.port)
        assert connector.open(connection, monotonic() + 5) is connection.stream
        assert (metrics.counter("connects").value, metrics.gauge("connections").read()) == (1, 1)
        connection.close()
    assert (metrics.counter("closes").value, metrics.gauge("connections").read()) == (1, 0)


def test_a_failure_is_told_and_its_time_counted() -> None:
    metrics = Tree()
    port = free_port()
    connector = Connector(at(port), TRANSPORT, ConnectStats(metrics), HTTP)
    with pytest.raises(ConnectFailed, match="refused"):
        connector.open(PlainConnection("127.0.0.1", port), monotonic() + 5)
    assert metrics.counter("connects").value == 0


@pytest.mark.parametrize("offered", [("h2",), ("h2", "http/1.1"), ("http/1.1", "h2")])
def test_the_protocols_of_the_settings_are_offered(
    tmp_path: Path, offered: tuple[str, ...]
) -> None:
    certs = Certs(tmp_path)
    server = certs.server("web.test")
    server.set_alpn_protocols(["h2"])
    tls = TlsSettings(trust=(str(certs.bundle),), alpn=offered)
    with H2Endpoint(tls=server) as endpoint:
        stats = ConnectStats(Tree())
        connector = Connector(at(endpoint.port), replace(TRANSPORT, tls=tls), stats, H2)
        connection = TlsConnection(
            "127.0.0.1", endpoint.port, ssl_context=context(tls).value,
            server_hostname="web.test", assert_hostname="web.test",
        )  # fmt: skip
        connector.open(connection, monotonic() + 5)
        assert connection.alpn == "h2"
        connection.close()
