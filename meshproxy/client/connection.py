"""urllib3 connections whose wire is ours: urllib3 connects and verifies, we read and write.

A whole request through `urlopen` would cost a multiple of what the proxy needs for it.
"""

import socket
import ssl
from collections.abc import Callable
from time import monotonic

from urllib3.connection import HTTPConnection, HTTPSConnection

from meshproxy.client.tls import ResumingSocket
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket


class _Wire(HTTPConnection):
    """The part that plain and TLS connections have in common."""

    stream: Stream | None = None
    """The stream for requests and responses, once connected."""
    exchange: Callable[[Request, float], Response] | None = None
    """Sends a request and returns its response; set by the pool while connected."""
    on_close: Callable[[], None] | None = None
    """Called once when an open connection closes."""
    connected_at = 0.0
    """Monotonic second at which TCP connected, before a TLS handshake."""
    opened_at = 0.0
    """Monotonic second at which it connected."""
    idle_since = 0.0
    """Monotonic second of its last return to the pool."""
    resumes: ssl.SSLSession | None = None
    """The TLS session to resume, if the server allows it."""
    alpn: str | None = None
    """The protocol that the server has chosen in TLS (RFC 7301)."""
    open_socket: Callable[[], ResumingSocket]
    """Returns a socket connected to the endpoint; set by the pool."""

    def _new_conn(self) -> socket.socket:
        """Connects to the address itself, without urllib3's resolver."""
        sock = self.open_socket()
        sock.resumes = self.resumes
        self.connected_at = monotonic()
        return sock

    @property
    def is_connected(self) -> bool:
        """True if the connection is up and idle; unsolicited bytes make it unusable."""
        return self.stream is not None and not self.stream.has_stray()

    def close(self) -> None:
        """Releases the socket; may be called again."""
        if self.stream is not None:
            self.stream.close()
            self.stream = self.exchange = None
            if self.on_close is not None:
                self.on_close()
        super().close()


class PlainConnection(_Wire):
    """A plain text connection."""

    def connect(self) -> None:
        """Connects. Raises OSError."""
        super().connect()
        self.stream = Stream(self.sock)


class TlsConnection(_Wire, HTTPSConnection):
    """A connection whose certificate is verified before `stream` exists."""

    def connect(self) -> None:
        """Connects, shakes hands and verifies. Raises OSError, or a ValueError of urllib3."""
        super().connect()
        if isinstance(self.sock, TlsSocket):
            self.alpn = self.sock.alpn
            self.stream = TlsStream(self.sock)

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session for a later connection to resume; TLS 1.3 has one after the first response.

        A resumed handshake costs less CPU time than a full one (docs/performance.md).
        """
        if isinstance(self.sock, TlsSocket):
            self.resumes = self.sock.session
        return self.resumes

    def close(self) -> None:
        """Releases the socket and keeps its session."""
        if self.stream is not None:
            self.resumes = self.session
        super().close()
