"""A socket and its TLS, which OpenSSL reads from and writes to memory (`ssl.MemoryBIO`).

OpenSSL would take two system calls for each record that it reads itself, and one for each it sends.
"""

import contextlib
import ssl
from typing import Any

import gevent.socket

_FLIGHT = 16384
"""Bytes read at once in a handshake."""


class TlsSocket:
    """A connected socket of which `shake_hands` makes a TLS connection; then `TlsStream` uses it.

    urllib3, which verifies the certificates of endpoints, takes it for an SSLSocket.
    """

    __slots__ = ("incoming", "outgoing", "sock", "tls")

    def __init__(
        self,
        sock: gevent.socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
        resumes: ssl.SSLSession | None = None,
    ) -> None:
        """Takes *sock*; a client asks for *server_name* (SNI) and *resumes* a session, if it can.

        Raises ValueError or ssl.SSLError if the name or the session is of no use.
        """
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        """Where OpenSSL reads what the peer has sent."""
        self.outgoing = ssl.MemoryBIO()
        """Where OpenSSL puts what is to be sent to the peer."""
        self.tls = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=server_name,
            session=resumes,
        )

    def shake_hands(self) -> None:
        """Makes the handshake, and closes the socket if that fails.

        Raises OSError, ssl.SSLError included: SSLEOFError if the peer ends the connection. The
        caller limits the time.
        """
        try:
            while self._needs_more():
                self._receive()
        except BaseException:
            self.close()
            raise

    def _receive(self) -> None:
        received = self.sock.recv(_FLIGHT)
        if not received:
            what = "the peer ended the connection within the TLS handshake"
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, what)
        self.incoming.write(received)

    def _needs_more(self) -> bool:
        """Goes on with what has come and sends what follows. Returns True if more must come."""
        needs_more = False
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            needs_more = True
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._send()  # the alert
            raise
        self._send()
        return needs_more

    def _send(self) -> None:
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    @property
    def alpn(self) -> str | None:
        """The protocol that was agreed upon (RFC 7301); None if there is none."""
        return self.tls.selected_alpn_protocol()

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session for a later connection to resume."""
        return self.tls.session

    def getpeercert(self, *, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """Returns the peer's certificate as `ssl.SSLSocket.getpeercert` does."""
        return self.tls.getpeercert(binary_form)

    def close(self) -> None:
        """Closes the socket without close_notify; may be called again."""
        self.sock.close()
