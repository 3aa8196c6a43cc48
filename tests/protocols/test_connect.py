"""Connections of the protocol that an endpoint speaks."""

import pytest

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.negotiated import NegotiatedConnections
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.protocols.connect import connect


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [("http", EndpointPool), ("h2", EndpointSessions), ("auto", NegotiatedConnections)],
)
def test_each_protocol_has_connections_of_its_own(protocol: str, kind: type) -> None:
    transport = Transport(Limits(), 1.0, protocol=protocol)
    connections = connect(Address("127.0.0.1", 1), transport, ConnectStats(Tree()))
    assert type(connections) is kind
    connections.close()
