"""Servers of a router, of any protocol (linkerd: linkerd/core/.../Server.scala)."""

from dataclasses import dataclass

from meshproxy.config.decode import Ip, Port, key
from meshproxy.config.h2 import H2Keys
from meshproxy.config.scalars import AddressRange
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.tls import ServerTlsConfig
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig(H2Keys):
    """A listening socket."""

    port: Port = key(default=Port(4140), doc="The port to listen on.")
    ip: Ip = key(default=Ip("127.0.0.1"), doc="The address to listen on.")
    tls: ServerTlsConfig | None = key(default=None, doc="TLS; plain text when unset.")
    label: str | None = key(default=None, doc="Names the server in the log.")
    announce: tuple[Path, ...] | None = key(
        default=None,
        doc="Names to publish the server under, each the prefix of an announcer and more.",
    )
    clear_context: bool = key(
        default=False, doc="Ignore and remove the `l5d-` headers of clients, and send them none."
    )
    socket_options: SocketOptionsConfig | None = key(default=None, doc="Options of its sockets.")
    max_connections: int = key(
        default=10_000,
        minimum=0,
        added=True,
        doc="Most open connections; beyond it, idle ones are closed.",
    )
    proxy_protocol_from: tuple[AddressRange, ...] = key(
        default=(),
        one_or_many=True,
        filled=True,
        added=True,
        doc="Addresses and ranges of load balancers whose connections must begin with a PROXY "
        "header, version 1 or 2; the client is whom that names.",
    )
