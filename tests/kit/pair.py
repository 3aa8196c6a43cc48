"""Two ends of one connection: real TCP sockets on loopback, with TLS between them if asked."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket

from .certs import Certs
from .wire import WAIT_S, dial


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets; reads of the second one end after WAIT_S."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        theirs = dial(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs


@contextmanager
def plain() -> Iterator[tuple[Stream, socket.socket]]:
    """Give a stream and the socket at its other end; both are closed afterwards."""
    ours, theirs = tcp_pair()
    stream = Stream(ours)
    try:
        with gevent.Timeout(WAIT_S):
            yield stream, theirs
    finally:
        stream.close()
        theirs.close()


@contextmanager
def tls(
    certs: Certs, *, serving: bool = True, version: ssl.TLSVersion | None = None
) -> Iterator[tuple[TlsStream, ssl.SSLSocket]]:
    """Give a TLS stream, the serving or the asking end, and the socket at its other end."""
    ours, theirs = tcp_pair()
    server, client = certs.server("pair.test"), certs.client()
    client.maximum_version = version or client.maximum_version
    if serving:
        shaking = gevent.spawn(client.wrap_socket, theirs, server_hostname="pair.test")
        secured = TlsSocket(ours, server, server_side=True)
    else:
        shaking = gevent.spawn(server.wrap_socket, theirs, server_side=True)
        secured = TlsSocket(ours, client, server_name="pair.test")
    with gevent.Timeout(WAIT_S):
        secured.shake_hands()
    other = shaking.get(timeout=WAIT_S)
    other.suppress_ragged_eofs = False
    stream = TlsStream(secured)
    try:
        with gevent.Timeout(WAIT_S):
            yield stream, other
    finally:
        stream.close()
        other.close()
