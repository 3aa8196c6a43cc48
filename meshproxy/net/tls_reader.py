"""The receiving half of a stream over TLS: what the socket has is decrypted record by record.

OpenSSL is given whole records and asked for what is in each, so that it holds none.
"""

import ssl
from collections.abc import Callable

from meshproxy.net.stream import RECEIVE, Stream
from meshproxy.net.tls_socket import TlsSocket

RECORD = 16384
"""Most bytes of data in a TLS record."""
_HEAD = 5
"""Bytes of a record's header; the last two are the length of the rest (RFC 8446 section 5.1)."""
_LONGEST = _HEAD + RECORD + 2048
"""Bytes of the longest record (RFC 5246 section 6.2.3); OpenSSL refuses longer ones."""
_room = bytearray(4 * RECEIVE + _LONGEST)
"""What is read from any socket lies here until it is decrypted, before anything else is read."""
_view = memoryview(_room)


class TlsReader(Stream):
    """Decrypts what arrives on *secured*, whose handshake is over."""

    __slots__ = (
        "_ahead", "_decrypt", "_encrypt", "_end", "_follower", "_part", "_put", "_take", "secured",
    )  # fmt: skip

    is_plain = False

    def __init__(self, secured: TlsSocket) -> None:
        super().__init__(secured.sock)
        self.secured = secured
        """The socket with its certificates and its session."""
        raw = secured.tls._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - no frames between
        self._encrypt: Callable[[bytes | memoryview], int] = raw.write
        self._decrypt: Callable[[int], bytes] = raw.read
        self._put, self._take = secured.incoming.write, secured.outgoing.read
        """Give OpenSSL what has come, and take from it what is to be sent."""
        self._part = b""
        """What has been read and not been decrypted: the beginning of a record."""
        self._ahead = b""
        """Data that has been decrypted and not been asked for."""
        self._end: bytes | OSError | None = None
        """What follows the data: nothing, after close_notify, or the error that ended it."""
        self._follower: Callable[[], object] | None = None
        received = secured.incoming.read()  # with the last of the handshake
        if received:
            _room[: len(received)] = received
            self._ahead = b"".join(self._open(len(received)))

    @property
    def is_readable(self) -> bool:
        """As for plain streams; session tickets of TLS 1.3 do not count as something to read."""
        if self._has_ahead:
            return True
        if self._armed:
            return False
        self._look_ahead()
        if not self._has_ahead:
            self._arm()
        return self._has_ahead

    @property
    def _has_ahead(self) -> bool:
        """True if the next read returns, or raises, something without the socket."""
        return bool(self._ahead) or self._end is not None

    def has_stray(self) -> bool:
        """As for plain streams; data may also have been decrypted before."""
        return self._has_ahead or Stream.has_stray(self)

    def receive(self, deadline: float, most: int = RECEIVE) -> bytes:
        """As for plain streams; an end without close_notify is a ConnectionResetError."""
        while not self._ahead and self._end is None:
            if self._armed:
                self.wait_readable(deadline)
            else:
                self._arm()
            pieces = self._take_in(most)
            if pieces:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._take_ahead()

    def receive_into(self, buffer: memoryview, deadline: float) -> int:
        """As for plain streams."""
        while not self._ahead and self._end is None:
            if not self._armed:
                self._arm()
            filled = self._fill(buffer, self._take_in(len(buffer)))
            if filled:
                return filled
            if not self._has_ahead:
                self.wait_readable(deadline)
        data = self._take_ahead()
        taken = min(len(data), len(buffer))
        buffer[:taken] = data[:taken]
        self._ahead = data[taken:]
        return taken

    def _fill(self, buffer: memoryview, pieces: list[bytes]) -> int:
        """Puts *pieces* into *buffer*, and aside what it has no room for. Returns its bytes."""
        filled, room = 0, len(buffer)
        for at, piece in enumerate(pieces):
            after = filled + len(piece)
            if after > room:
                self._ahead = b"".join(pieces[at:])
                break
            buffer[filled:after] = piece
            filled = after
        return filled

    def receive_buffered(self, most: int = RECEIVE) -> bytes | None:
        """As for plain streams, but up to one record more than *most*."""
        if self._ahead:
            return self._take_ahead()
        if self._end is None:
            pieces = self._take_in(most)
            if pieces:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return None if self._end is None else b""

    def follow(self, on_readable: Callable[[], object]) -> None:
        """As for plain streams."""
        self._follower = on_readable
        Stream.follow(self, on_readable)

    def _take_in(self, most: int) -> list[bytes]:
        """Reads up to *most* bytes from the socket, and returns the data in them."""
        held = len(self._part)
        try:
            if held:
                _room[:held] = self._part
                size = held + self._receive_into(_view[held:], most)
            else:
                size = self._receive_into(_view, most)
        except BlockingIOError:
            return []
        except OSError as error:
            self._end = error
            return []
        if size == held:
            self._end = ConnectionResetError("TLS ended without close_notify")
            return []
        pieces = self._open(size)
        if pieces and self._end is not None:  # of which the socket may have nothing more to say
            self._loop.run_callback(self._tell_end)
        return pieces

    def _open(self, size: int) -> list[bytes]:
        """Returns the data in the first *size* bytes of `_room`; keeps what is no whole record."""
        pieces = []
        at, only_data = 0, True
        put, decrypt = self._put, self._decrypt
        try:
            while (start := at + _HEAD) <= size:
                end = start + _room[at + 3] * 256 + _room[at + 4]
                if end > size:
                    if end - at <= _LONGEST:
                        break
                    end = size
                put(_view[at:end])
                at = end
                try:
                    piece = decrypt(RECORD)
                except ssl.SSLWantReadError:
                    only_data = False  # a session ticket, a new key
                    continue
                if not piece:
                    self._end = b""
                    break
                pieces.append(piece)
        except ssl.SSLZeroReturnError:
            self._end = b""
        except ssl.SSLError as error:
            self._end = error
            only_data = False
        self._part = bytes(_view[at:size]) if at < size else b""
        if not only_data:
            self._answer()
        return pieces

    def _answer(self) -> None:
        """Sends what OpenSSL has to say by itself: alerts, new keys."""
        raise NotImplementedError

    def _tell_end(self) -> None:
        """Does what is done when there is something to read; after `close`, nothing."""
        (self._follower or self._on_readable)()

    def _look_ahead(self) -> None:
        """Reads what has arrived, or the error that ended it, for the next `receive`."""
        if not self._has_ahead:
            self._ahead = b"".join(self._take_in(_LONGEST))

    def _take_ahead(self) -> bytes:
        """Returns what has been read ahead, empty at the end. Raises the error that ended it."""
        if not self._armed:
            self._arm()
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        if isinstance(self._end, OSError):
            raise self._end
        return b""
