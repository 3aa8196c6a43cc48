"""Bytes to frames: lengths, padding, the joining of field blocks (RFC 9113 sections 4 and 6).

Whether a frame may come now, and what it does, is the connection's business.
"""

from collections.abc import Callable
from typing import ClassVar, NoReturn, Protocol

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError
from meshproxy.h2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, WITH_PRIORITY

MAX_BLOCK_BYTES = 32 * 1024
"""Of a field block, compressed, over all its frames."""
MAX_CONTINUATIONS = 8
COPIED_BYTES = 4096
"""Payloads of DATA over this are handed on as views of what was read."""
_UNUSUAL = END_HEADERS | PADDED | WITH_PRIORITY
"""Of these flags, HEADERS mostly has the first one alone."""
_MAX_PIECES = 64
"""Pieces of a frame that are held before they are joined: small ones cost more than they have."""


class FrameHandler(Protocol):
    """What becomes of each frame. All but `stream_error` may raise the errors of `errors`."""

    def data_frame(self, stream_id: int, data: bytes | memoryview, size: int, ends: bool) -> None:
        """Handles DATA; *size* is what it takes of the windows, padding included."""

    def block(self, stream_id: int, block: bytes, ends: bool) -> None:
        """Handles a whole field block."""

    def meaningless_frame(self) -> None:
        """Counts PRIORITY, or a frame of an unknown type."""

    def rst_stream_frame(self, stream_id: int, code: int) -> None:
        """Handles RST_STREAM."""

    def settings_frame(self, payload: bytes) -> None:
        """Handles SETTINGS, a multiple of six bytes."""

    def settings_ack_frame(self) -> None:
        """Handles SETTINGS with ACK."""

    def ping_frame(self, payload: bytes, is_answer: bool) -> None:
        """Handles PING, eight bytes."""

    def goaway_frame(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Handles GOAWAY."""

    def window_update_frame(self, stream_id: int, increment: int) -> None:
        """Handles WINDOW_UPDATE; stream 0 is the connection."""

    def stream_error(self, error: H2StreamError) -> None:
        """Resets one stream."""


class FrameReader:
    """Cuts what is received into frames and hands each to *handler*.

    A frame may have *max_frame_bytes*. The first bytes must be *preface*, the first frame SETTINGS.
    """

    __slots__ = (
        "_block", "_block_bytes", "_block_ends", "_block_stream", "_handler", "_has_begun",
        "_held", "_held_kind", "_max_frame_bytes", "_needed", "_pieces", "preface",
    )  # fmt: skip

    def __init__(self, handler: FrameHandler, max_frame_bytes: int, preface: bytes) -> None:
        self._handler = handler
        self._max_frame_bytes = max_frame_bytes
        self.preface = preface
        """What the peer still has to begin with."""
        self._has_begun = False
        self._pieces: list[bytes] = []
        self._held = self._needed = 0
        self._held_kind = frames.SETTINGS  # of the frame of which only a part is there
        self._block: list[bytes] = []
        self._block_bytes = self._block_stream = 0
        self._block_ends = False

    @property
    def is_within_head(self) -> bool:
        """True within a field block, or any frame but DATA; a timeout should limit that."""
        return bool(self._block_stream) or (self._held > 0 and self._held_kind != frames.DATA)

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
        self._held = len(data) - at

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
        handler, unpack, largest = self._handler, frames.HEAD.unpack_from, self._max_frame_bytes
        head_bytes, stream_bits = frames.HEAD_BYTES, frames.MAX_STREAM_ID
        while size - at >= head_bytes:
            word, flags, stream_id = unpack(data, at)
            length, kind = word >> 8, word & 255
            stream_id &= stream_bits
            if length > largest:
                _refuse_size(f"a frame of {length} bytes")
            start = at + head_bytes
            end = start + length
            if end > size:
                self._needed = end - at
                self._held_kind = kind
                return at
            at = end
            if self._block_stream or not self._has_begun:
                self._check_order(kind, flags, stream_id)
            try:
                if kind == DATA and stream_id and not flags & PADDED:
                    payload = (data if length <= COPIED_BYTES else memoryview(data))[start:end]
                    handler.data_frame(stream_id, payload, length, flags & END_STREAM > 0)
                elif (
                    kind == HEADERS
                    and flags & _UNUSUAL == END_HEADERS
                    and stream_id
                    and length <= MAX_BLOCK_BYTES
                ):
                    handler.block(stream_id, data[start:end], flags & END_STREAM > 0)
                else:
                    read = self._READERS.get(kind)
                    if read is None:
                        handler.meaningless_frame()
                    else:
                        read(self, flags, stream_id, data[start:end])
            except H2StreamError as error:
                handler.stream_error(error)
        self._needed = frames.HEAD_BYTES
        self._held_kind = frames.SETTINGS
        return at

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if not self._has_begun:
            if kind != frames.SETTINGS or flags & frames.ACK:
                _refuse("the first frame is not SETTINGS")
            self._has_begun = True
        elif kind != frames.CONTINUATION or stream_id != self._block_stream:
            _refuse("a frame between HEADERS and its last CONTINUATION")

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            _refuse("DATA on stream 0")
        data = _unpadded(payload) if flags & PADDED else payload
        self._handler.data_frame(stream_id, data, len(payload), flags & END_STREAM > 0)

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            _refuse("HEADERS on stream 0")
        block = _unpadded(payload) if flags & PADDED else payload
        depends_on = None
        if flags & WITH_PRIORITY:
            if len(block) < 5:
                _refuse_size("HEADERS without room for its priority")
            depends_on = frames.read_long(block)
            block = block[5:]
        ends = flags & END_STREAM > 0
        if flags & END_HEADERS:
            _check_block(len(block))
            self._handler.block(stream_id, block, ends)
        else:
            self._block, self._block_bytes = [block], len(block)
            self._block_stream, self._block_ends = stream_id, ends
        if depends_on == stream_id:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_stream:
            _refuse("CONTINUATION without HEADERS before it")
        self._block.append(payload)
        self._block_bytes += len(payload)
        _check_block(self._block_bytes)
        if len(self._block) > MAX_CONTINUATIONS + 1:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many CONTINUATION frames")
        if flags & END_HEADERS:
            block = b"".join(self._block)
            self._block_stream = 0
            self._block.clear()
            self._handler.block(stream_id, block, self._block_ends)

    def _priority(self, _: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            _refuse("PRIORITY on stream 0")
        self._handler.meaningless_frame()
        if len(payload) != 5:
            why = "PRIORITY has not five bytes"
            raise H2StreamError(stream_id, ErrorCode.FRAME_SIZE_ERROR, why)
        if frames.read_long(payload) == stream_id:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _rst_stream(self, _: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            _refuse("RST_STREAM on stream 0")
        if len(payload) != 4:
            _refuse_size("RST_STREAM has not four bytes")
        self._handler.rst_stream_frame(stream_id, frames.read_code(payload))

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            _refuse("SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                _refuse_size("SETTINGS with ACK is not empty")
            self._handler.settings_ack_frame()
        elif len(payload) % 6:
            _refuse_size("SETTINGS is not a multiple of six bytes")
        else:
            self._handler.settings_frame(payload)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        del flags, stream_id, payload
        _refuse("PUSH_PROMISE, which nobody may send here")

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            _refuse("PING on a stream")
        if len(payload) != 8:
            _refuse_size("PING has not eight bytes")
        self._handler.ping_frame(payload, bool(flags & frames.ACK))

    def _goaway(self, _: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            _refuse("GOAWAY on a stream")
        if len(payload) < 8:
            _refuse_size("GOAWAY has less than eight bytes")
        last, code = frames.read_long(payload), frames.read_code(payload, 4)
        self._handler.goaway_frame(last, code, payload[8:])

    def _window_update(self, _: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            _refuse_size("WINDOW_UPDATE has not four bytes")
        self._handler.window_update_frame(stream_id, frames.read_long(payload))

    _READERS: ClassVar[dict[int, Callable[["FrameReader", int, int, bytes], None]]] = {
        frames.DATA: _data,
        frames.HEADERS: _headers,
        frames.PRIORITY: _priority,
        frames.RST_STREAM: _rst_stream,
        frames.SETTINGS: _settings,
        frames.PUSH_PROMISE: _push_promise,
        frames.PING: _ping,
        frames.GOAWAY: _goaway,
        frames.WINDOW_UPDATE: _window_update,
        frames.CONTINUATION: _continuation,
    }
    """By type; others are ignored (section 5.5). DATA and HEADERS do not come here mostly."""


def _check_block(size: int) -> None:
    if size > MAX_BLOCK_BYTES:
        why = f"a field block of over {MAX_BLOCK_BYTES} bytes"
        raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, why)


def _unpadded(payload: bytes) -> bytes:
    """Returns the content of a padded payload (section 6.1)."""
    if not payload:
        _refuse_size("a padded frame without the length of its padding")
    end = len(payload) - payload[0]
    if end < 1:
        _refuse("padding that is longer than its frame")
    return payload[1:end]


def _refuse(why: str) -> NoReturn:
    raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, why)


def _refuse_size(why: str) -> NoReturn:
    raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, why)
