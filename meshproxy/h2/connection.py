"""One HTTP/2 connection without its socket: what clients and servers have in common (RFC 9113).

Bytes go in by `receive`, which calls `events`; what is to be sent comes out by `take`. Time is an
argument. Nothing waits here, and no body is kept: `send_data` sends what the windows allow.
"""

from typing import ClassVar

from meshproxy.h2 import frames, guard, settings
from meshproxy.h2.decoder import Decoder
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError, malformed, too_large
from meshproxy.h2.events import H2Events
from meshproxy.h2.fields import trailers
from meshproxy.h2.flow_control import FlowControl
from meshproxy.h2.reader import FrameReader
from meshproxy.h2.section import FieldSection
from meshproxy.h2.settings import DEFAULT_WINDOW_BYTES, LocalSettings
from meshproxy.h2.split import MalformedSection
from meshproxy.h2.states import StreamState, check_late
from meshproxy.h2.stream import H2Stream

_REMEMBERED_RESETS = 1000
"""Streams reset here whose late frames are still ignored."""


class H2Connection(FlowControl):
    """What `H2Server` and `H2Client` have in common."""

    __slots__ = (
        "_decoder", "_events", "_known", "_local", "_new_window", "_now", "_resets",
        "is_acknowledged", "reader",
    )  # fmt: skip

    _reader: ClassVar[type[FrameReader]] = FrameReader

    def __init__(
        self, events: H2Events, local: LocalSettings, now: float, *, is_client: bool
    ) -> None:
        super().__init__(local, now)
        self._events = events
        self._local = local
        self._now = now
        preface = b"" if is_client else frames.PREFACE
        self.reader = self._reader(self, local.max_frame_bytes, preface)
        self._decoder = Decoder(local.max_header_list_bytes, local.max_header_fields)
        self._known = self._decoder.known.get
        self._new_window = DEFAULT_WINDOW_BYTES
        """Bytes that the peer believes it may send on a new stream."""
        self._resets: dict[int, int] = {}
        """Streams reset here lately, and the bytes of DATA that may still be on their way."""
        self.is_acknowledged = False
        """True once the peer has acknowledged our SETTINGS, which should take a few seconds."""
        if is_client:
            self._out.append(frames.PREFACE)
        self._out.append(frames.settings(local.pairs(is_client=is_client)))
        if self._receive_window > DEFAULT_WINDOW_BYTES:
            more = self._receive_window - DEFAULT_WINDOW_BYTES
            self._out.append(frames.window_update(0, more))

    def receive(self, data: bytes, now: float) -> None:
        """Reads *data*, received at the monotonic second *now*.

        Raises H2ConnectionError, after which nothing more may be received; the GOAWAY that says so
        is ready to be taken and sent before the socket is closed.
        """
        self._now = now
        try:
            self.reader.feed(data)
        except H2ConnectionError as error:
            self._due.clear()
            self.go_away(error.code, str(error).encode())
            raise

    # The reader calls what follows, frame by frame.

    def data_frame(self, stream_id: int, data: bytes | memoryview, size: int, ends: bool) -> None:
        """Hands a piece of a body on; DATA for a stream that was reset is dropped."""
        window = self._receive_window = self._receive_window - size
        if window <= self._enough:
            self._due.add(0)
            if window <= self._half:
                self._grant_at_once()
        stream = self.streams.get(stream_id)
        if stream is None or not (stream.can_receive and stream.has_head):
            self._drop(stream_id, stream, size)
            return
        window = stream.receive_window = stream.receive_window - size
        if window < 0 and size:
            why = "more DATA than its window"
            raise H2StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, why)
        count = len(data)
        left = stream.body_left
        if left is not None:
            left = stream.body_left = left - count
            if left < 0:
                raise malformed(stream_id, "a body longer than its Content-Length")
        if ends:
            self._receive_end(stream)
        else:
            stream.unconsumed += size
            if count < size:
                self.consume(stream, size - count)
            if not count:
                self._trifles.take(self._now, guard.EMPTY_DATA)
        stream.data_received(data, ends)

    def block(self, stream_id: int, block: bytes, ends: bool) -> None:
        """Decodes a field block, whatever becomes of it: the table is the whole connection's."""
        known = self._known
        section = known(block) or self._decoder.decode(block)
        stream = self.streams.get(stream_id)
        try:
            if stream is None:
                self._begin(stream_id, section, ends)
            elif not stream.can_receive:
                self._check_late(stream_id, frames.HEADERS)
            elif not stream.has_head:
                self._head(stream, section, ends)
            else:
                self._trailers(stream, section, ends)
        except MalformedSection as error:
            raise malformed(stream_id, str(error)) from None

    def meaningless_frame(self, count: int = 1) -> None:
        """Counts *count* frames that have no effect."""
        self._trifles.take(self._now, count)

    def rst_stream_frame(self, stream_id: int, code: int) -> None:
        """Closes a stream."""
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_late(stream_id, frames.RST_STREAM)
            return
        self._count_reset()
        self._give_up(stream, is_ours=False)
        stream.reset_received(code)

    def settings_frame(self, payload: bytes) -> None:
        """Follows the peer's settings, and acknowledges them."""
        before = self._peer.stream_window_bytes
        self._peer.update(payload)
        change = self._peer.stream_window_bytes - before
        self._trifles.take(self._now, 1 + (len(self.streams) // 16 if change else 0))
        for stream in self.streams.values() if change else ():
            stream.send_window += change
            if stream.send_window > settings.MAX_WINDOW_BYTES:
                raise H2ConnectionError(
                    ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS make a window larger than 2**31-1"
                )
        self._encoder.resize(self._peer.header_table_bytes)
        self._reply(frames.SETTINGS_ACK)
        if change > 0:
            self._events.stream_windows_opened()
            self._events.window_opened()

    def settings_ack_frame(self) -> None:
        """Applies our settings, which the peer knows from now on (RFC 9113 section 6.5.3)."""
        if self.is_acknowledged:
            self.meaningless_frame()
            return
        self.is_acknowledged = True
        change = self._local.stream_window_bytes - self._new_window
        self._new_window += change
        for stream in self.streams.values():
            stream.receive_window += change
        self._decoder.allow(self._local.header_table_bytes)

    def ping_frame(self, payload: bytes, is_answer: bool) -> None:
        """Answers a PING, or hands an answer on."""
        if is_answer:
            self._trifles.take(self._now)
            self._events.pong_received(payload)
        else:
            self._reply(frames.ping(payload, is_answer=True))

    def ping_frames(self, pings: bytes, count: int) -> None:
        """Answers *count* PING, which are sent back as answers."""
        self._reply(frames.as_answers(pings, count), count)

    def goaway_frame(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Hands a GOAWAY on."""
        self._trifles.take(self._now)
        self._events.goaway_received(last_stream_id, code, debug)

    def window_update_frame(self, stream_id: int, increment: int, count: int = 1) -> None:
        """Enlarges what may be sent."""
        self._trifles.take(self._now, count)
        if not stream_id:
            if not increment:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
            self.send_window += increment
            if self.send_window > settings.MAX_WINDOW_BYTES:
                raise H2ConnectionError(
                    ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is over 2**31-1"
                )
            self._events.window_opened()
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_late(stream_id, frames.WINDOW_UPDATE)
            return
        if not increment:
            raise H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        stream.send_window += increment
        if stream.send_window > settings.MAX_WINDOW_BYTES:
            raise H2StreamError(
                stream_id, ErrorCode.FLOW_CONTROL_ERROR, "its window is over 2**31-1"
            )
        stream.window_opened()

    def stream_error(self, error: H2StreamError) -> None:
        """Resets the stream at fault, and counts that."""
        if error.code is ErrorCode.REFUSED_STREAM:
            self._trifles.take(self._now)
        else:
            self._count_reset(guard.FAULT)
        stream = self.streams.get(error.stream_id)
        if stream is None:
            self._out.append(frames.rst_stream(error.stream_id, error.code))
            self._remember_reset(error.stream_id)
            return
        self.reset(stream, error.code)
        stream.failed(error.code, str(error))

    # What both sides do alike, and what each does in its own way.

    def _begin(self, stream_id: int, section: FieldSection, ends: bool) -> None:
        """Takes a field section on a stream that is not open."""
        raise NotImplementedError

    def _head(self, stream: H2Stream, section: FieldSection, ends: bool) -> None:
        """Takes a section that comes before the body."""
        raise NotImplementedError

    def _is_idle(self, stream_id: int) -> bool:
        """Returns True if the stream has not been opened yet."""
        raise NotImplementedError

    def _count_reset(self, cost: float = 1) -> None:
        """Counts a stream that the peer has reset, or that its fault ended."""
        raise NotImplementedError

    def _trailers(self, stream: H2Stream, section: FieldSection, ends: bool) -> None:
        if section.is_too_large:
            raise too_large(stream.id)
        if not ends:
            raise malformed(stream.id, "trailers without END_STREAM")
        fields = section.trailers
        if fields is None:
            fields = trailers(section)
        self._receive_end(stream)
        stream.trailers_received(fields)

    def _receive_end(self, stream: H2Stream) -> None:
        if stream.body_left:
            raise malformed(stream.id, "a body shorter than its Content-Length")
        stream.can_receive = False
        if not stream.can_send:
            self._close(stream)

    def _give_up(self, stream: H2Stream, *, is_ours: bool) -> None:
        """Closes *stream*, which consumes nothing any more; one that is ours is remembered."""
        self._close(stream)
        stream.unconsumed = 0
        if is_ours:
            self._remember_reset(stream.id)

    def _remember_reset(self, stream_id: int) -> None:
        self._resets[stream_id] = self._local.stream_window_bytes
        if len(self._resets) > _REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]

    def _drop(self, stream_id: int, stream: H2Stream | None, size: int) -> None:
        """Drops DATA for no open stream. Raises its error, unless it was sent before our reset."""
        if stream is not None and stream.can_receive:
            raise malformed(stream_id, "DATA before the response's head")
        if 0 < size <= self._resets.get(stream_id, 0):
            self._resets[stream_id] -= size
        else:
            self._check_late(stream_id, frames.DATA)

    def _check_late(self, stream_id: int, kind: int) -> None:
        """Raises the error of a frame that its stream's state does not allow, if it is one."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            state = stream.state
        elif stream_id in self._resets:
            state = StreamState.RESET
        else:
            state = StreamState.IDLE if self._is_idle(stream_id) else StreamState.CLOSED
        check_late(stream_id, state, kind)
        self._trifles.take(self._now)
