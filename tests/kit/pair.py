"""Two ends of one connection: real TCP sockets on loopback, with TLS between them if asked."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream

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
def tls(certs: Certs, *, serving: bool = True) -> Iterator[tuple[TlsStream, ssl.SSLSocket]]:
    """Give a TLS stream, the serving or the asking end, and the socket at its other end."""
    ours, theirs = tcp_pair()
    server, client = certs.server("pair.test"), certs.client()
    server_end, client_end = (ours, theirs) if serving else (theirs, ours)
    accepting = gevent.spawn(server.wrap_socket, server_end, server_side=True)
    asked = client.wrap_socket(client_end, server_hostname="pair.test")
    accepted = accepting.get(timeout=WAIT_S)
    wrapped, other = (accepted, asked) if serving else (asked, accepted)
    other.suppress_ragged_eofs = False
    stream = TlsStream(wrapped)
    try:
        with gevent.Timeout(WAIT_S):
            yield stream, other
    finally:
        stream.close()
        other.close()
