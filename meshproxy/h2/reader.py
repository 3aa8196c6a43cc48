"""Bytes to frames: where each ends, and the order of the first ones (RFC 9113 section 4)."""

from meshproxy.h2 import frames, runs
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError
from meshproxy.h2.frames import DATA, END_HEADERS, END_STREAM, HEAD_BYTES, HEADERS, WINDOW_UPDATE
from meshproxy.h2.payloads import (
    MAX_BLOCK_BYTES,
    FrameHandler,
    PayloadReader,
    refuse,
    refuse_size,
)

_unpack = frames.SPLIT_HEAD.unpack_from
COPIED_BYTES = 4096
"""Payloads of DATA over this are handed on as views of what was read."""
_LAST_DATA = DATA << 8 | END_STREAM
_HEADERS = HEADERS << 8 | END_HEADERS
_LAST_HEADERS = _HEADERS | END_STREAM
_UPDATE = WINDOW_UPDATE << 8
"""Types and flags that most frames have."""
_NO_FRAME_YET = -1
"""In place of the stream whose block goes on, so that both are looked for at once."""
_MAX_PIECES = 64
"""Pieces of a frame that are held before they are joined: small ones cost more than they have."""


class FrameReader(PayloadReader):
    """Cuts what is received into frames and hands each to *handler*.

    A frame may have *max_frame_bytes*. The first bytes must be *preface*, the first frame SETTINGS.
    """

    __slots__ = (
        "_held", "_max_frame_bytes", "_needed", "_pieces", "is_within_head", "preface",
    )  # fmt: skip

    def __init__(self, handler: FrameHandler, max_frame_bytes: int, preface: bytes) -> None:
        super().__init__(handler)
        self._max_frame_bytes = max_frame_bytes
        self.preface = preface
        """What the peer still has to begin with."""
        self.is_within_head = False
        """True within a field block, or any frame but DATA; a timeout should limit that."""
        self._block_stream = _NO_FRAME_YET
        self._pieces: list[bytes] = []
        self._held = self._needed = 0

    def feed(self, data: bytes) -> None:
        """Reads all whole frames. Raises H2ConnectionError."""
        at = 0
        if (self._held or self.preface) and (at := self._resume(data)) < 0:
            return
        size = len(data)
        view = memoryview(data) if size > COPIED_BYTES else data
        handler, largest = self._handler, self._max_frame_bytes
        while (start := at + HEAD_BYTES) <= size:
            high, low, what, stream_id = _unpack(data, at)
            length = high * 256 + low
            end = start + length
            if end > size or length > largest:
                break
            at = end
            if self._block_stream:
                self._check_order(what >> 8, what & 255, stream_id & frames.MAX_STREAM_ID)
            try:
                if what <= _LAST_DATA and length and stream_id > 0:
                    payload = (data if length <= COPIED_BYTES else view)[start:end]
                    handler.data_frame(stream_id, payload, length, what == _LAST_DATA)
                elif (
                    _HEADERS <= what <= _LAST_HEADERS
                    and stream_id > 0
                    and length <= MAX_BLOCK_BYTES
                ):
                    handler.block(stream_id, data[start:end], what == _LAST_HEADERS)
                elif what == _UPDATE and length == 4 and size - end < runs.LEAST_BYTES:
                    increment = int.from_bytes(data[start:end]) & frames.MAX_STREAM_ID
                    handler.window_update_frame(stream_id & frames.MAX_STREAM_ID, increment)
                else:
                    at = self._read_other(data, start, end, what, stream_id)
            except H2StreamError as error:
                handler.stream_error(error)
        if at < size:
            self._hold(data[at:])
        else:
            self.is_within_head = self._block_stream > 0

    def _read_other(self, data: bytes, start: int, end: int, what: int, stream_id: int) -> int:
        """Reads a frame of any type, or a run of them; returns the position after it."""
        handler, kind = self._handler, what >> 8
        if (
            len(data) - end >= runs.LEAST_BYTES
            and data[end + 3] == kind
            and (after := runs.read(handler, kind, data, start - HEAD_BYTES))
        ):
            return after
        read = self.READERS.get(kind)
        if read is None:
            handler.meaningless_frame()
        else:
            read(self, what & 255, stream_id & frames.MAX_STREAM_ID, data[start:end])
        return end

    def _resume(self, data: bytes) -> int:
        """Reads what is held, if *data* completes it, of which only what does so is copied.

        Returns the position of what follows, -1 if that is nothing.
        """
        at = 0
        while self._held:
            missing = self._needed - self._held
            self._pieces.append(data[at : at + missing])
            if (taken := len(data) - at) < missing:
                self._held += taken
                if len(self._pieces) > _MAX_PIECES:
                    self._pieces = [b"".join(self._pieces)]
                return -1
            at += missing
            pieces, self._pieces = self._pieces, []
            self._held = 0
            self.feed(b"".join(pieces))
        return self._read_preface(data) if self.preface else at

    def _hold(self, data: bytes) -> None:
        """Holds the beginning of a frame until the rest has come. Raises H2ConnectionError."""
        self._needed, kind = HEAD_BYTES, frames.SETTINGS
        if len(data) >= HEAD_BYTES:
            high, low, what, _ = _unpack(data)
            length, kind = high * 256 + low, what >> 8
            if length > self._max_frame_bytes:
                refuse_size(f"a frame of {length} bytes")
            self._needed += length
        self._pieces.append(data)
        self._held = len(data)
        self.is_within_head = self._block_stream > 0 or kind != DATA

    def _read_preface(self, data: bytes) -> int:
        """Returns the position after the preface; holds a part of it, and returns -1."""
        size = len(self.preface)
        if data[:size] == self.preface:
            self.preface = b""
            return size
        if not self.preface.startswith(data):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 connection preface")
        self._pieces.append(data)
        self._held, self._needed = len(data), size
        self.is_within_head = True
        return -1

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if self._block_stream == _NO_FRAME_YET:
            if kind != frames.SETTINGS or flags & frames.ACK:
                refuse("the first frame is not SETTINGS")
            self._block_stream = 0
        elif kind != frames.CONTINUATION or stream_id != self._block_stream:
            refuse("a frame between HEADERS and its last CONTINUATION")
