"""From an accepted socket to a stream: a load balancer's PROXY header, then TLS."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import gevent
import gevent.socket

from meshproxy.config.scalars import AddressRange
from meshproxy.egress.addresses import IpNetwork
from meshproxy.http.limits import Limits
from meshproxy.net.proxy_protocol import receive
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket

_HANDSHAKE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Balancers:
    """Load balancers whose connections begin with a PROXY header, within so many seconds."""

    ranges: tuple[IpNetwork, ...]
    seconds: float

    def client_of(self, sock: gevent.socket.socket, host: str) -> str | None:
        """Returns the client that the header on *sock*, whose peer is *host*, names.

        None if the peer is no load balancer, or its header leaves it to the socket. Raises
        BadHeader.
        """
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if not any(address in one for one in self.ranges):
            return None
        return receive(sock, self.seconds)


def balancers_of(ranges: Sequence[AddressRange], limits: Limits) -> Balancers | None:
    """Returns the load balancers in *ranges*; None if there are none."""
    if not ranges:
        return None
    seconds = min(limits.head_seconds, limits.idle_seconds)
    return Balancers(tuple(map(ip_network, ranges)), seconds)


def shake_hands(sock: gevent.socket.socket, context: ssl.SSLContext) -> TlsStream:
    """Makes the TLS handshake. Raises OSError if it fails or takes too long."""
    secured = TlsSocket(sock, context, server_side=True)
    with gevent.Timeout(_HANDSHAKE_SECONDS, TimeoutError("no TLS handshake in time")):
        secured.shake_hands()
    return TlsStream(secured)
