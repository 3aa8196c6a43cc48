"""The chunked transfer coding, sans IO (RFC 9112 section 7.1).

Bytes in, pieces of data out; a line may be split anywhere. Extensions are skipped, and trailers are
parsed by the rules of header fields.
"""

import re

from meshproxy.errors import BadResponse, ProxyError
from meshproxy.http.headers import Headers, parse_fields
from meshproxy.http.trailers import is_forbidden

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
_PADDED_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
"""Matches a size padded with white space, as old servers send it."""
_SIZE_LINE_START = re.compile(
    rb"(?:[0-9A-Fa-f]{1,16}(?:[ \t]*|[ \t]*;[\t\x20-\x7e\x80-\xff]*))?\r?"
).fullmatch
_ONLY_SIZE = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,14})\r\n").match
_LINE_END = -1
MAX_SIZE = (1 << 63) - 1
"""Largest chunk in bytes: the largest signed 64-bit number."""
_LAST = b"\r\n0\r\n\r\n"
MAX_LINE = 4096
MAX_TRAILERS = 128
"""Number of trailer fields."""
MAX_LINES = 65536
"""Bytes of size lines and extensions in one message, beyond 16 bytes for each chunk."""


class ChunkedDecoder:
    """Decodes one body; when it is complete, `done` is True and `rest` holds what followed.

    Raises *refused* for a violation of the grammar, and for more than *max_trailers* bytes of
    trailers. White space after a size is accepted from endpoints (BadResponse).
    """

    __slots__ = (
        "_buffer",
        "_extra",
        "_in_trailers",
        "_left",
        "_max_trailers",
        "_refused",
        "_size_line",
        "done",
        "trailers",
    )

    def __init__(self, refused: type[ProxyError], max_trailers: int) -> None:
        self._refused = refused
        self._size_line = _PADDED_SIZE_LINE if refused is BadResponse else _SIZE_LINE
        self._max_trailers = max_trailers
        self._buffer = b""
        self._left = 0
        self._extra = 0
        self._in_trailers = False
        self.done = False
        self.trailers: Headers | None = None

    @property
    def rest(self) -> bytes:
        """The bytes that followed the body, once it is done."""
        return self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the pieces of body that *data* completes, in order."""
        buffer = self._buffer + data if self._buffer else data
        pieces: list[bytes] = []
        position = 0
        while not self._in_trailers:
            if self._left:
                position = self._take_data(buffer, position, pieces)
                if self._left:
                    break
            end = buffer.find(b"\r\n", position)
            if end < 0:
                line = buffer[position:]
                if not _SIZE_LINE_START(line) or len(line) > MAX_LINE + 1:
                    raise self._refused("not a chunk size line")
                break
            self._left = self._size(buffer[position:end])
            position = end + 2
            if not self._left:
                self._in_trailers = True
                position = end
        self._buffer = buffer[position:]
        if self._in_trailers:
            self._read_trailers()
        return pieces

    def _take_data(self, buffer: bytes, position: int, pieces: list[bytes]) -> int:
        """Takes what has arrived of a chunk and its line end; `_left` is 0 once both are."""
        if self._left > 0:
            piece = buffer[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if piece:
                pieces.append(piece)
            if self._left:
                return position
            self._left = _LINE_END
        ending = buffer[position : position + 2]
        if not b"\r\n".startswith(ending):
            raise self._refused("chunk data does not end where its size says")
        if len(ending) == 2:
            self._left = 0
            position += 2
        return position

    def _size(self, line: bytes) -> int:
        match = self._size_line(line)
        self._extra += max(len(line) - 16, 0)
        if not match or len(line) > MAX_LINE or self._extra > MAX_LINES:
            raise self._refused("not a chunk size line")
        size = int(match[1], 16)
        if size > MAX_SIZE:
            raise self._refused("chunk size over 2^63-1")
        return size

    def _check_unfinished(self, trailers: bytes) -> None:
        """Refuses early what no further byte can make valid."""
        rest = trailers.replace(b"\r\n", b"")
        lone = rest.removesuffix(b"\r") if trailers.endswith(b"\r") else rest
        if len(trailers.rstrip(b"\r\n")) > self._max_trailers or b"\n" in lone or b"\r" in lone:
            raise self._refused("not a trailer section")

    def _read_trailers(self) -> None:
        """Reads the trailers, if the buffer, after the last size line, has all of them."""
        if self._buffer.startswith(b"\r\n\r\n"):
            self._buffer = self._buffer[4:]
            self.done = True
            return
        last = self._buffer.find(b"\r\n\r\n")
        if last < 0:
            self._check_unfinished(self._buffer[2:])
            return
        section = self._buffer[2:last]
        lines = section.split(b"\r\n")
        if len(section) > self._max_trailers or len(lines) > MAX_TRAILERS:
            raise self._refused("trailers are too large")
        trailers = parse_fields(lines, self._refused)
        trailers.remove_where(is_forbidden)
        self.trailers = trailers if len(trailers) else None
        self._buffer = self._buffer[last + 4 :]
        self.done = True


def decode_whole(
    data: bytes, refused: type[ProxyError], max_trailers: int
) -> tuple[bytes, bytes] | None:
    """Returns the body at the start of *data* and what follows it.

    Returns None if the body is incomplete, invalid or has trailers. This is a shortcut for the most
    frequent case; `ChunkedDecoder` handles the others.
    """
    if data.endswith(_LAST) and (line := _ONLY_SIZE(data)):  # most are one chunk
        start = line.end()
        if len(data) == start + int(line[1], 16) + len(_LAST):
            return data[start : -len(_LAST)], b""
    decoder = ChunkedDecoder(refused, max_trailers)
    try:
        pieces = decoder.feed(data)
    except ProxyError:
        return None
    if not decoder.done or decoder.trailers is not None:
        return None
    return b"".join(pieces), decoder.rest


def encode_whole(body: bytes) -> bytes:
    """Returns a whole *body* in chunks."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


def encode(piece: bytes | memoryview) -> bytes:
    """Returns *piece* as one chunk; it must not be empty, since that would end the body."""
    return b"%x\r\n" % len(piece) + piece + b"\r\n"


def last_chunk(trailers: Headers | None) -> bytes:
    """Returns the end of a chunked body."""
    if trailers is None:
        return b"0\r\n\r\n"
    return b"0\r\n" + b"".join(line + b"\r\n" for line in trailers.lines) + b"\r\n"
