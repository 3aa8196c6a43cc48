"""The connections to an endpoint, by the protocol that it speaks."""

from collections.abc import Mapping
from typing import Final

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.negotiated import NegotiatedConnections
from meshproxy.client.transport import Connect, Connections, ConnectStats, Transport
from meshproxy.naming.addr import Address

_BY_PROTOCOL: Final[Mapping[str, Connect]] = {
    "http": EndpointPool,
    "h2": EndpointSessions,
    "auto": NegotiatedConnections,
}


def connect(address: Address, transport: Transport, stats: ConnectStats) -> Connections:
    """Returns the connections to *address*, none of which is open yet."""
    return _BY_PROTOCOL[transport.protocol](address, transport, stats)
