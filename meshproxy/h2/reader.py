"""Bytes to frames: where each ends, and the order of the first ones (RFC 9113 section 4)."""

from meshproxy.h2 import frames, runs
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError
from meshproxy.h2.frames import DATA, END_HEADERS, END_STREAM, HEADERS
from meshproxy.h2.payloads import (
    MAX_BLOCK_BYTES,
    FrameHandler,
    PayloadReader,
    refuse,
    refuse_size,
)

COPIED_BYTES = 4096
"""Payloads of DATA over this are handed on as views of what was read."""
_LAST_DATA = DATA << 8 | END_STREAM
_HEADERS = HEADERS << 8 | END_HEADERS
_LAST_HEADERS = _HEADERS | END_STREAM
"""Types and flags that most frames have."""
_MAX_PIECES = 64
"""Pieces of a frame that are held before they are joined: small ones cost more than they have."""


class FrameReader(PayloadReader):
    """Cuts what is received into frames and hands each to *handler*.

    A frame may have *max_frame_bytes*. The first bytes must be *preface*, the first frame SETTINGS.
    """

    __slots__ = (
        "_has_begun", "_held", "_held_kind", "_max_frame_bytes", "_needed", "_pieces",
        "is_within_head", "preface",
    )  # fmt: skip

    def __init__(self, handler: FrameHandler, max_frame_bytes: int, preface: bytes) -> None:
        super().__init__(handler)
        self._max_frame_bytes = max_frame_bytes
        self.preface = preface
        """What the peer still has to begin with."""
        self.is_within_head = False
        """True within a field block, or any frame but DATA; a timeout should limit that."""
        self._has_begun = False
        self._pieces: list[bytes] = []
        self._held = self._needed = 0
        self._held_kind = frames.SETTINGS  # of the frame of which only a part is there

    def feed(self, data: bytes) -> None:
        """Reads all whole frames. Raises H2ConnectionError."""
        at = 0
        while self._held:  # of *data*, only what completes a frame is copied
            missing = self._needed - self._held
            self._pieces.append(data[at : at + missing])
            if (taken := len(data) - at) < missing:
                self._held += taken
                if len(self._pieces) > _MAX_PIECES:
                    self._pieces = [b"".join(self._pieces)]
                return
            at += missing
            pieces, self._pieces = self._pieces, []
            self._read(b"".join(pieces), 0)
        self._read(data, at)

    def _read(self, data: bytes, at: int) -> None:
        if not self.preface or (at := self._read_preface(data)):
            at = self._read_frames(data, at)
        if at < len(data):
            self._pieces.append(data[at:] if at else data)
        held = self._held = len(data) - at
        self.is_within_head = self._block_stream > 0 or (held > 0 and self._held_kind != DATA)

    def _read_preface(self, data: bytes) -> int:
        size = len(self.preface)
        if data[:size] == self.preface:
            self.preface = b""
            return size
        if not self.preface.startswith(data):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 connection preface")
        self._needed = size
        return 0

    def _read_frames(self, data: bytes, at: int) -> int:
        """Returns the position after the last whole frame."""
        size = len(data)
        handler, largest = self._handler, self._max_frame_bytes
        unpack = frames.SPLIT_HEAD.unpack_from
        head_bytes = frames.HEAD_BYTES
        while (start := at + head_bytes) <= size:
            high, low, what, stream_id = unpack(data, at)
            length = high * 256 + low
            if length > largest:
                refuse_size(f"a frame of {length} bytes")
            end = start + length
            if end > size:
                self._needed = end - at
                self._held_kind = what >> 8
                return at
            at = end
            if self._block_stream or not self._has_begun:
                self._check_order(what >> 8, what & 255, stream_id & frames.MAX_STREAM_ID)
            try:
                if what <= _LAST_DATA and length and stream_id > 0:
                    payload = (data if length <= COPIED_BYTES else memoryview(data))[start:end]
                    handler.data_frame(stream_id, payload, length, what == _LAST_DATA)
                elif (
                    _HEADERS <= what <= _LAST_HEADERS
                    and stream_id > 0
                    and length <= MAX_BLOCK_BYTES
                ):
                    handler.block(stream_id, data[start:end], what == _LAST_HEADERS)
                elif (
                    size - at >= runs.LEAST_BYTES
                    and data[at + 3] == what >> 8
                    and (after := runs.read(handler, what >> 8, data, start - head_bytes))
                ):
                    at = after
                else:
                    read = self.READERS.get(what >> 8)
                    if read is None:
                        handler.meaningless_frame()
                    else:
                        stream_id &= frames.MAX_STREAM_ID
                        read(self, what & 255, stream_id, data[start:end])
            except H2StreamError as error:
                handler.stream_error(error)
        self._needed = frames.HEAD_BYTES
        self._held_kind = frames.SETTINGS
        return at

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if not self._has_begun:
            if kind != frames.SETTINGS or flags & frames.ACK:
                refuse("the first frame is not SETTINGS")
            self._has_begun = True
        elif kind != frames.CONTINUATION or stream_id != self._block_stream:
            refuse("a frame between HEADERS and its last CONTINUATION")
