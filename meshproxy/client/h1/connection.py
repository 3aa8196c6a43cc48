"""urllib3 connections that own the wire: urllib3 connects, verifies and pools, we read and write.

`urlopen` costs about 400 us a request; this way urllib3's pool costs less than 2.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable

import gevent.socket
from urllib3.connection import HTTPConnection, HTTPSConnection

from meshproxy.net.descriptors import ENDPOINTS, is_beyond, spares
from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream


class _ResumingSocket(gevent.socket.socket):  # type: ignore[misc] # gevent has no types
    """A socket that tells its TLS which session to resume: urllib3 has no way to hand one on."""

    resumes: ssl.SSLSession | None = None


class _Wire(HTTPConnection):
    """The part that plain and TLS connections share."""

    stream: Stream | None = None
    """What requests are written to and responses read from, once connected."""
    on_close: Callable[[], None] | None = None
    """Called once when an open connection closes."""
    opened_at = 0.0
    """Monotonic second at which it was connected."""
    idle_since = 0.0
    """Monotonic second of its last return to the pool."""
    no_delay = True
    keep_alive: bool | None = None
    """TCP_NODELAY and SO_KEEPALIVE; None leaves the system's own."""
    resumes: ssl.SSLSession | None = None
    """The TLS session to go on with, if the server lets us."""

    def _new_conn(self) -> socket.socket:
        """Connect to the address as it is: no resolver is asked here."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = _ResumingSocket(family, socket.SOCK_STREAM)
        if is_beyond(ENDPOINTS, sock.fileno()) and not spares.make_room():
            sock.close()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        sock.resumes = self.resumes
        try:
            sock.settimeout(self.timeout)
            sock.connect((self.host.strip("[]"), self.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.no_delay)
            if self.keep_alive is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, self.keep_alive)
        except BaseException:
            sock.close()
            raise
        return sock

    @property
    def is_connected(self) -> bool:
        """The connection is up and silent: bytes that nobody asked for make it unusable."""
        return self.stream is not None and not self.stream.has_stray()

    def close(self) -> None:
        """Release the socket; harmless when repeated."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
            if self.on_close is not None:
                self.on_close()
        super().close()


class PlainConnection(_Wire):
    """A connection in clear."""

    def connect(self) -> None:
        """Connect. Raises OSError."""
        super().connect()
        self.stream = Stream(self.sock)


class TlsConnection(_Wire, HTTPSConnection):
    """A connection whose certificate was verified before `stream` exists."""

    def connect(self) -> None:
        """Connect, shake hands and verify. Raises also urllib3's CertificateError, a ValueError."""
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket):
            self.stream = TlsStream(self.sock)

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection can resume: under TLS 1.3 once a first response has come.

        A resumed handshake takes 0.85 of the CPU time of a full one, and 0.65 under TLS 1.2.
        """
        if isinstance(self.sock, ssl.SSLSocket):
            self.resumes = self.sock.session
        return self.resumes

    def close(self) -> None:
        """Release the socket, and keep its session."""
        if self.stream is not None:
            self.resumes = self.session
        super().close()
