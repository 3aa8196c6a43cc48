"""Connections to an endpoint on this machine, outside any pool."""

from functools import partial

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.sockets import connected
from meshproxy.client.transport import Transport
from meshproxy.http.limits import Limits
from meshproxy.naming.addr import Address


def unopened(port: int, host: str = "127.0.0.1") -> PlainConnection:
    """Return a connection to *port* of *host*, not yet open."""
    connection = PlainConnection(host, port)
    ready(connection)
    return connection


def ready(connection: PlainConnection | TlsConnection) -> None:
    """Let *connection* connect directly."""
    address = Address(connection.host.strip("[]"), connection.port or 0)
    connection.open_socket = partial(connected, address, Transport(Limits(), 5.0), ())
