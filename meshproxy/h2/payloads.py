"""The payload of each type of frame: lengths, padding, field blocks (RFC 9113 section 6).

If a frame may come now, and what it does, is decided by the connection.
"""

from collections.abc import Callable
from typing import ClassVar, NoReturn, Protocol

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError
from meshproxy.h2.frames import END_HEADERS, END_STREAM, PADDED, WITH_PRIORITY

MAX_BLOCK_BYTES = 32 * 1024
"""The largest compressed field block, over all its frames."""
MAX_CONTINUATIONS = 8
"""CONTINUATION frames of one field block."""


class FrameHandler(Protocol):
    """What becomes of each frame. All but `stream_error` may raise the errors of `errors`."""

    def data_frame(self, stream_id: int, data: bytes | memoryview, size: int, ends: bool) -> None:
        """Handles DATA; *size* is what it takes of the windows, padding included."""

    def block(self, stream_id: int, block: bytes, ends: bool) -> None:
        """Handles a whole field block."""

    def meaningless_frame(self, count: int = 1) -> None:
        """Counts PRIORITY, or a frame of an unknown type, as *count* frames."""

    def rst_stream_frame(self, stream_id: int, code: int) -> None:
        """Handles RST_STREAM."""

    def settings_frame(self, payload: bytes) -> None:
        """Handles SETTINGS, a multiple of six bytes."""

    def settings_ack_frame(self) -> None:
        """Handles SETTINGS with ACK."""

    def ping_frame(self, payload: bytes, is_answer: bool) -> None:
        """Handles PING, eight bytes."""

    def ping_frames(self, pings: bytes, count: int) -> None:
        """Handles *count* PING that are no answers, given as whole frames."""

    def goaway_frame(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Handles GOAWAY."""

    def window_update_frame(self, stream_id: int, increment: int, count: int = 1) -> None:
        """Handles WINDOW_UPDATE, counted as *count* frames; stream 0 is the connection."""

    def stream_error(self, error: H2StreamError) -> None:
        """Resets one stream."""


class PayloadReader:
    """Checks the payload of a frame and gives *handler* what it says.

    A field block is given to it whole, with the last of its frames.
    """

    __slots__ = ("_block", "_block_bytes", "_block_ends", "_block_stream", "_handler")

    def __init__(self, handler: FrameHandler) -> None:
        self._handler = handler
        self._block: list[bytes] = []
        self._block_bytes = self._block_stream = 0
        self._block_ends = False

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            refuse("DATA on stream 0")
        data = _unpadded(payload) if flags & PADDED else payload
        self._handler.data_frame(stream_id, data, len(payload), flags & END_STREAM > 0)

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            refuse("HEADERS on stream 0")
        block = _unpadded(payload) if flags & PADDED else payload
        depends_on = None
        if flags & WITH_PRIORITY:
            if len(block) < 5:
                refuse_size("HEADERS without room for its priority")
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
            refuse("CONTINUATION without HEADERS before it")
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
            refuse("PRIORITY on stream 0")
        self._handler.meaningless_frame()
        if len(payload) != 5:
            why = "PRIORITY has not five bytes"
            raise H2StreamError(stream_id, ErrorCode.FRAME_SIZE_ERROR, why)
        if frames.read_long(payload) == stream_id:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _rst_stream(self, _: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            refuse("RST_STREAM on stream 0")
        if len(payload) != 4:
            refuse_size("RST_STREAM has not four bytes")
        self._handler.rst_stream_frame(stream_id, frames.read_code(payload))

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            refuse("SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                refuse_size("SETTINGS with ACK is not empty")
            self._handler.settings_ack_frame()
        elif len(payload) % 6:
            refuse_size("SETTINGS is not a multiple of six bytes")
        else:
            self._handler.settings_frame(payload)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        del flags, stream_id, payload
        refuse("PUSH_PROMISE, which nobody may send here")

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            refuse("PING on a stream")
        if len(payload) != 8:
            refuse_size("PING has not eight bytes")
        self._handler.ping_frame(payload, bool(flags & frames.ACK))

    def _goaway(self, _: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            refuse("GOAWAY on a stream")
        if len(payload) < 8:
            refuse_size("GOAWAY has less than eight bytes")
        last, code = frames.read_long(payload), frames.read_code(payload, 4)
        self._handler.goaway_frame(last, code, payload[8:])

    def _window_update(self, _: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            refuse_size("WINDOW_UPDATE has not four bytes")
        self._handler.window_update_frame(stream_id, frames.read_long(payload))

    READERS: ClassVar[dict[int, Callable[["PayloadReader", int, int, bytes], None]]] = {
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
    """By type; others are ignored (section 5.5). Usual DATA, HEADERS and WINDOW_UPDATE do not come
    here."""


def _check_block(size: int) -> None:
    if size > MAX_BLOCK_BYTES:
        why = f"a field block of over {MAX_BLOCK_BYTES} bytes"
        raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, why)


def _unpadded(payload: bytes) -> bytes:
    """Returns the content of a padded payload (section 6.1)."""
    if not payload:
        refuse_size("a padded frame without the length of its padding")
    end = len(payload) - payload[0]
    if end < 1:
        refuse("padding that is longer than its frame")
    return payload[1:end]


def refuse(why: str) -> NoReturn:
    """Raises H2ConnectionError for a violation of the protocol."""
    raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, why)


def refuse_size(why: str) -> NoReturn:
    """Raises H2ConnectionError for a frame that is too long or too short."""
    raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, why)
