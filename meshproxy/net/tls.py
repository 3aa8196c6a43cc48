"""A stream over TLS: what is sent is encrypted, and several records leave in one call."""

import contextlib
import ssl
from collections import deque
from time import monotonic

from meshproxy.net.stream import Stream
from meshproxy.net.tls_reader import RECORD, TlsReader
from meshproxy.net.tls_socket import TlsSocket

_SENT_AT_ONCE = 8 * RECORD
"""Bytes of data that are encrypted for one system call."""
_MOST_SEALED = 4 * _SENT_AT_ONCE
"""Bytes, encrypted, that may wait for the socket; more can only be answers that nobody reads."""


class TlsStream(TlsReader):
    """A TLS connection after its handshake.

    SSLSocket costs far more CPU time for a small request (bench row `tls-small`) and for large
    bodies (`tls-1m`).
    """

    __slots__ = ("_sealed",)

    def __init__(self, secured: TlsSocket) -> None:
        self._sealed: deque[tuple[bytes, int]] = deque()
        """Encrypted records for which the socket had no room, each with its bytes of data."""
        super().__init__(secured)

    def send_some(self, data: bytes | memoryview) -> int:
        """As for plain streams, counting records that have been accepted as a whole.

        The next call must begin with the data that was not counted. If the peer has ended the
        connection with an alert, that is the error raised.
        """
        try:
            if self._sealed:
                sent = self._send_sealed()
                if sent or self._sealed:
                    return sent
            if len(data) > RECORD:
                return self._send_records(memoryview(data))
            return self._send_record(data) if data else 0
        except OSError:
            self._look_ahead()
            if isinstance(self._end, ssl.SSLError):
                raise self._end from None
            raise

    def _send_record(self, data: bytes | memoryview) -> int:
        size = self._encrypt(data)
        record = self._take()
        try:
            taken = self._send(record)
        except BlockingIOError:
            taken = 0
        if taken == len(record):
            return size
        self._sealed.append((record[taken:], size))
        return 0

    def _send_records(self, data: memoryview) -> int:
        encrypt, take = self._encrypt, self._take
        sent, total = 0, len(data)
        while sent < total:
            after = min(sent + _SENT_AT_ONCE, total)
            records: list[bytes | memoryview] = []
            for at in range(sent, after, RECORD):
                encrypt(data[at : at + RECORD])
                records.append(take())
            try:
                taken = self._send_message(records)
            except BlockingIOError:
                taken = 0
            if taken < sum(map(len, records)):
                sizes = [RECORD] * (len(records) - 1)
                sizes.append(after - sent - sum(sizes))
                self._sealed.extend(zip(map(bytes, records), sizes, strict=True))
                return sent + self._pass(taken)
            sent = after
        return sent

    def _send_sealed(self) -> int:
        """Sends records that wait. Returns how much of the data is in those that are gone."""
        try:
            return self._pass(self._send_message([record for record, _ in self._sealed]))
        except BlockingIOError:
            return 0

    def _pass(self, taken: int) -> int:
        """Drops *taken* bytes of what waits, and returns how much of the data they complete."""
        sealed = self._sealed
        sent = 0
        while sealed and taken >= len(sealed[0][0]):
            record, size = sealed.popleft()
            taken -= len(record)
            sent += size
        if taken:
            record, size = sealed[0]
            sealed[0] = record[taken:], size
        return sent

    def _answer(self) -> None:
        """Sends what OpenSSL has to say by itself, or has it sent with what waits.

        A peer that causes answers and does not read them loses its connection.
        """
        answer = self._take()
        if not answer:
            return
        if self._sealed:
            record, size = self._sealed[-1]
            self._sealed[-1] = record + answer, size
            if sum(len(record) for record, _ in self._sealed) > _MOST_SEALED:
                self._end = ConnectionResetError("the peer does not read the answers of TLS")
        else:
            self._sealed.append((answer, 0))
            with contextlib.suppress(OSError):
                self._send_sealed()

    def send_pieces(self, pieces: list[bytes | memoryview]) -> int:
        """As for plain streams, but joined: OpenSSL copies them into records anyhow."""
        return self.send_some(b"".join(pieces))

    def close_for_writing(self, timeout: float) -> None:
        """As for plain streams, with close_notify: without it our data would look truncated."""
        self._say_goodbye()
        while self._sealed:
            self.wait_writable(monotonic() + timeout)
            self._send_sealed()
        Stream.end_writing(self)

    def end_writing(self) -> None:
        """As for plain streams, with close_notify if it can be sent at once."""
        self._say_goodbye()
        Stream.end_writing(self)

    def _say_goodbye(self) -> None:
        """Sends close_notify, or as much of it as the socket accepts."""
        with contextlib.suppress(ssl.SSLError):  # the peer's has not come
            self.secured.tls.unwrap()
        self._sealed.append((self._take(), 0))
        self._send_sealed()

    def reset(self) -> None:
        """As for plain streams."""
        self._follower = None
        super().reset()

    def close(self) -> None:
        """As for plain streams, with close_notify if it can be sent at once (RFC 8446 section 6.1).

        Does not wait for the peer's.
        """
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self._say_goodbye()
        self._follower = None
        super().close()
