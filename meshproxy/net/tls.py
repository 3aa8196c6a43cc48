"""A stream over TLS. What OpenSSL holds is not in the socket, and not all in the socket is ours."""

import contextlib
import socket
import ssl
from time import monotonic

from gevent.ssl import SSLSocket

from meshproxy.net.stream import RECEIVE, Stream

_MOST_PIECES = 256
"""Records, of 16 KiB at most."""


class TlsStream(Stream):
    """A TLS connection after its handshake: OpenSSL reads and writes the descriptor itself.

    Kept-alive TLS over gevent's SSLSocket costs 1.6 times as much CPU for a small request.
    """

    __slots__ = ("_ahead", "_tls")

    is_plain = False

    def __init__(self, sock: SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock._sslobj  # noqa: SLF001 - gevent's socket did the handshake only
        self._ahead: bytes | OSError | None = None
        """Read already, or failed already, to learn whether there was anything to read."""

    @property
    def is_readable(self) -> bool:
        """As for plain streams; the session tickets of TLS 1.3 are nothing to read."""
        if self._armed and self._ahead is None:
            return bool(self._tls.pending())
        self._look_ahead()
        if self._ahead is None:
            self._arm()
        return self._ahead is not None

    def has_stray(self) -> bool:
        """As for plain streams; something may wait in OpenSSL."""
        if self._ahead is None and not self._tls.pending():
            return Stream.has_stray(self)
        return True

    def receive(self, deadline: float, most: int = RECEIVE) -> bytes:
        """As for plain streams; an end without close_notify is a ConnectionResetError."""
        while True:
            if self._ahead is None and not self._tls.pending():
                self.wait_readable(deadline)
            if self._ahead is not None:
                return self._take_ahead()
            try:
                data: bytes = self._tls.read(most)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLWantWriteError:
                self.wait_writable(deadline)
            except ssl.SSLEOFError as error:
                raise ConnectionResetError("TLS ended without close_notify") from error
            else:
                return data

    def receive_into(self, buffer: memoryview, deadline: float) -> int:
        """As for plain streams."""
        while True:
            if self._ahead is not None:
                data = self._take_ahead()
                taken = min(len(data), len(buffer))
                buffer[:taken] = data[:taken]
                self._ahead = data[taken:] or None
                return taken
            if not self._armed:
                self._arm()
            try:
                read: int = self._tls.read(len(buffer), buffer)
            except ssl.SSLWantReadError:
                self.wait_readable(deadline)
            except ssl.SSLWantWriteError:
                self.wait_writable(deadline)
            except ssl.SSLEOFError as error:
                raise ConnectionResetError("TLS ended without close_notify") from error
            else:
                return self._read_on(buffer, read) if read else 0

    def _read_on(self, buffer: memoryview, filled: int) -> int:
        """Fill *buffer* with the records that have come: one read gives one of 16 KiB at most.

        What comes of it is sent at once: 1 MiB takes 4 sends instead of 64.
        """
        read = self._tls.read
        room = len(buffer) - filled
        try:
            while room and (taken := read(room, buffer[-room:])):
                room -= taken
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLEOFError:
            self._ahead = ConnectionResetError("TLS ended without close_notify")
        return len(buffer) - room

    def receive_buffered(self) -> bytes | None:
        """As for plain streams."""
        try:
            return self._read_now() if self._ahead is None else self._take_ahead()
        except OSError:
            return b""

    def _look_ahead(self) -> None:
        """Read what has come, or learn the error that ended it, for the next `receive`."""
        if self._ahead is None:
            try:
                self._ahead = self._read_now()
            except OSError as error:
                self._ahead = error

    def _read_now(self) -> bytes | None:
        """Read without waiting; None if nothing has come."""
        try:
            data: bytes = self._tls.read(RECEIVE)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLEOFError as error:
            raise ConnectionResetError("TLS ended without close_notify") from error
        return data

    def _take_ahead(self) -> bytes:
        ahead, self._ahead = self._ahead, None
        if not self._armed:
            self._arm()
        if isinstance(ahead, OSError):
            raise ahead
        return ahead or b""

    def send_some(self, data: bytes | memoryview) -> int:
        """As for plain streams; a TLS renegotiation that wants to read first counts as none.

        When the peer has ended the connection with an alert, that is the error.
        """
        try:
            sent: int = self._tls.write(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError:
            self._look_ahead()
            if isinstance(self._ahead, ssl.SSLError):
                raise self._ahead from None
            raise
        return sent

    def close_for_writing(self, timeout: float) -> None:
        """As for plain streams, with close_notify: without it, all we sent would look cut."""
        self._read_what_has_come()
        while True:
            try:
                self._tls.shutdown()
            except ssl.SSLWantWriteError:
                self.wait_writable(monotonic() + timeout)
                continue
            except ssl.SSLWantReadError:
                pass  # ours is sent, the peer's has yet to come
            break
        self.sock._sock.shutdown(socket.SHUT_WR)  # noqa: SLF001 - gevent's would forget the TLS

    def _read_what_has_come(self) -> None:
        """Keeps it for the reader: whatever follows our close_notify unread breaks the session.

        (The ssl module asks for the peer's close_notify at once, and OpenSSL takes data for an
        attack there.) No more than 4 MiB are kept.
        """
        if isinstance(self._ahead, OSError) or self._ahead == b"":
            return
        pieces = [self._ahead or b""]
        with contextlib.suppress(OSError):  # the reader will meet it
            while len(pieces) < _MOST_PIECES and (piece := self._read_now()):
                pieces.append(piece)
        self._ahead = b"".join(pieces) or None
        if self._ahead is not None and self._waiter is not None:
            self._loop.run_callback(self._on_readable)

    def close(self) -> None:
        """As for plain streams, with close_notify if it can be sent at once (RFC 8446 section 6.1).

        The peer's is not waited for.
        """
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self._tls.shutdown()
        super().close()
