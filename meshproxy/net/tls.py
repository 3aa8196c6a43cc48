"""A stream over TLS: OpenSSL buffers some data, and some bytes in the socket are its own."""

import contextlib
import socket
import ssl
from time import monotonic

from gevent.ssl import SSLSocket

from meshproxy.net.stream import RECEIVE, Stream

_RECORD = 16384
"""Bytes of the longest TLS record. A read gives no more, and costs more with room for more."""
_MOST_PIECES = 256
"""Most TLS records read together, each of 16 KiB at most."""


class TlsStream(Stream):
    """A TLS connection after its handshake: OpenSSL reads and writes the descriptor itself.

    gevent's SSLSocket costs far more CPU time for a small request (bench row `tls-small`).
    """

    __slots__ = ("_ahead", "_tls")

    is_plain = False

    def __init__(self, sock: SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock._sslobj  # noqa: SLF001 - gevent's socket did the handshake only
        self._ahead: bytes | OSError | None = None
        """Data read ahead, or the error met, to learn if there was anything to read."""

    @property
    def is_readable(self) -> bool:
        """As for plain streams; session tickets of TLS 1.3 do not count as something to read."""
        if self._armed and self._ahead is None:
            return bool(self._tls.pending())
        self._look_ahead()
        if self._ahead is None:
            self._arm()
        return self._ahead is not None

    def has_stray(self) -> bool:
        """As for plain streams; data may also be buffered in OpenSSL."""
        if self._ahead is None and not self._tls.pending():
            return Stream.has_stray(self)
        return True

    def receive(self, deadline: float, most: int = _RECORD) -> bytes:
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
        """Fills *buffer* with further records that have arrived; one read gives one of them.

        Records that are gathered this way are sent with fewer calls.
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

    def receive_buffered(self, most: int = RECEIVE) -> bytes | None:
        """As for plain streams; of full records, several are read at once."""
        try:
            data = self._read_now() if self._ahead is None else self._take_ahead()
        except OSError:
            return b""
        if data is None or len(data) < _RECORD:
            return data
        return b"".join(self._read_records(data, most))

    def _read_records(self, first: bytes, most: int) -> list[bytes]:
        """Returns *first* and the records after it that have arrived, up to *most* bytes."""
        pieces = [first]
        with contextlib.suppress(OSError):  # the next read raises it again
            while (most := most - len(pieces[-1])) > 0 and (piece := self._read_now()):
                pieces.append(piece)
        return pieces

    def _look_ahead(self) -> None:
        """Reads what has arrived, or the error that ended it, for the next `receive`."""
        if self._ahead is None:
            try:
                self._ahead = self._read_now()
            except OSError as error:
                self._ahead = error

    def _read_now(self) -> bytes | None:
        """Reads without waiting. Returns None if nothing has arrived."""
        try:
            data: bytes = self._tls.read(_RECORD)
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
        """As for plain streams; 0 also if a TLS renegotiation needs to read first.

        If the peer has ended the connection with an alert, that is the error raised.
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

    def send_pieces(self, pieces: list[bytes | memoryview]) -> int:
        """As for plain streams, but joined: OpenSSL copies them into records anyhow."""
        data = memoryview(b"".join(pieces))
        sent = 0
        while sent < len(data) and (taken := self.send_some(data[sent:])):
            sent += taken
        return sent

    def close_for_writing(self, timeout: float) -> None:
        """As for plain streams, with close_notify: without it our data would look truncated."""
        self._read_ahead()
        while True:
            try:
                self._tls.shutdown()
            except ssl.SSLWantWriteError:
                self.wait_writable(monotonic() + timeout)
                continue
            except ssl.SSLWantReadError:
                pass  # ours has been sent, the peer's has not arrived yet
            break
        self.sock._sock.shutdown(socket.SHUT_WR)  # noqa: SLF001 - gevent's would forget the TLS

    def end_writing(self) -> None:
        """As for plain streams, with close_notify if it can be sent at once."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.shutdown()
        self.sock._sock.shutdown(socket.SHUT_WR)  # noqa: SLF001 - see `close_for_writing`

    def _read_ahead(self) -> None:
        """Reads up to 4 MiB ahead, since data unread after our close_notify breaks the session.

        The ssl module asks for the peer's close_notify at once, and OpenSSL treats data that
        arrives then as an attack.
        """
        if isinstance(self._ahead, OSError) or self._ahead == b"":
            return
        pieces = [self._ahead or b""]
        with contextlib.suppress(OSError):  # the next read raises it
            while len(pieces) < _MOST_PIECES and (piece := self._read_now()):
                pieces.append(piece)
        self._ahead = b"".join(pieces) or None
        if self._ahead is not None and self._waiter is not None:
            self._loop.run_callback(self._on_readable)

    def close(self) -> None:
        """As for plain streams, with close_notify if it can be sent at once (RFC 8446 section 6.1).

        Does not wait for the peer's.
        """
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self._tls.shutdown()
        super().close()
