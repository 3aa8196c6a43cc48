"""Sockets connected to an address, directly or through a parent proxy."""

import errno
import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

from meshproxy.client.tls import ResumingSocket
from meshproxy.client.transport import Transport
from meshproxy.naming.addr import Address
from meshproxy.net.descriptors import ENDPOINTS, is_beyond, spares

_BIND_ADDRESS_NO_PORT: Final = 24
"""IP_BIND_ADDRESS_NO_PORT of Linux: without it, each bound socket takes a port for itself."""


def connected(address: Address, transport: Transport, via: Sequence[bytes]) -> ResumingSocket:
    """Returns a socket that leads to *address*; *via* is told to a parent proxy.

    Raises OSError and ParentRefused.
    """
    open_socket = partial(_open, transport)
    if transport.proxy is None:
        return open_socket(address)
    sock: ResumingSocket = transport.proxy.connect(
        address, via, transport.connect_seconds, open_socket
    )
    return sock


def _open(transport: Transport, address: Address) -> ResumingSocket:
    """Connects to *address* itself, without a resolver. Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = ResumingSocket(family, socket.SOCK_STREAM)
    if is_beyond(ENDPOINTS, sock.fileno()) and not spares.make_room():
        sock.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    try:
        if transport.source_address is not None:
            _bind(sock, transport.source_address, address)
        sock.connect((address.host, address.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, transport.no_delay)
        if transport.keep_alive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, transport.keep_alive)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: ResumingSocket, source: str, address: Address) -> None:
    """Has *sock* connect to *address* from *source*; its port is chosen then. Raises OSError."""
    if (":" in source) != (":" in address.host):
        what = f"{address.host} cannot be reached from sourceAddress {source}, of another family"
        raise OSError(errno.EAFNOSUPPORT, what)
    try:
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, True)
        sock.bind((source, 0))
    except OSError as error:
        what = f"cannot connect from sourceAddress {source}: {error.strerror}"
        raise OSError(error.errno, what) from error
