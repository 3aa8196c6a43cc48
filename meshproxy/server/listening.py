"""The listening socket of a server."""

import fcntl
import socket
from math import inf

import gevent.socket

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.net.descriptors import ENDPOINTS, allowed

BACKLOG = 4096
"""Clients that the kernel lets wait to be accepted, unless `socketOptions.backlog` says more."""
_HIGH_DESCRIPTOR = 16384
"""The kernel's table of descriptors grows to the highest one, by 8 bytes for each."""


def listen(address: tuple[str, int], options: SocketOptionsConfig) -> gevent.socket.socket:
    """Returns a socket that listens at *address*. Raises OSError that names the address."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, options.reuse_addr)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, options.reuse_port)
        sock.bind(address)
        sock.listen(options.backlog or BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{shown(address)}: {error.strerror}") from error
    return _raised(sock) if options.reuse_port else sock


def _raised(sock: gevent.socket.socket) -> gevent.socket.socket:
    """Returns *sock* under a descriptor above those of connections.

    Linux closes a killed process's highest descriptors first, so clients that reconnect after a
    reset reach another worker rather than this one's backlog.
    """
    wanted = int(min((allowed() or inf) * ENDPOINTS, _HIGH_DESCRIPTOR))
    with sock:
        raised = fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, wanted)
    return gevent.socket.socket(fileno=raised)


def shown(address: tuple[str, int]) -> str:
    """Returns *address* as `host:port`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
