"""The server's side of an HTTP/2 connection: streams begin with a request."""

from typing import NoReturn

from meshproxy.h2 import frames, guard
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.errors import ErrorCode, H2StreamError, malformed
from meshproxy.h2.events import ServerEvents
from meshproxy.h2.fields import request_head
from meshproxy.h2.guard import LARGE_HEAD, RESETS_PER_STREAM, USEFUL
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reader import FrameReader
from meshproxy.h2.section import FieldSection
from meshproxy.h2.settings import LocalSettings
from meshproxy.h2.stream import H2Stream


@own_methods
class ServerReader(FrameReader):
    """Reads what a client sends."""

    __slots__ = ()


@own_methods
class H2Server(H2Connection):
    """Calls *events* with the requests of a client.

    A stream counts against `max_concurrent_streams` until it is closed and has been released, so
    that a client that resets its requests does not have more of them served at once. So do the
    bytes of large heads against a limit of their own.
    """

    __slots__ = ("_head_bytes", "_held", "_last", "_last_served", "_resets_left")

    _reader = ServerReader

    def __init__(self, events: ServerEvents, local: LocalSettings, now: float) -> None:
        super().__init__(events, local, now, is_client=False)
        self._events: ServerEvents = events
        self._held = 0
        """Streams that are open, or for which something still works."""
        self._head_bytes = 0
        """Of their heads, the large ones."""
        self._last = 0
        self._last_served = frames.MAX_STREAM_ID
        self._resets_left = guard.resets(now)

    def release(self, stream: H2Stream) -> None:
        """Records that nothing works for *stream* any more; to be called once for each."""
        stream.is_released = True
        if stream.can_send or stream.can_receive:
            return  # `_close` goes on
        self._held -= 1
        if stream.head_bytes:
            self._count_heads(-stream.head_bytes)

    def go_away(
        self,
        code: int = ErrorCode.NO_ERROR,
        debug: bytes = b"",
        last_stream_id: int | None = None,
    ) -> None:
        """As `H2Connection.go_away`; streams after the last are ignored."""
        super().go_away(code, debug, last_stream_id)
        self._last_served = self._last if last_stream_id is None else last_stream_id

    def _begin(self, stream_id: int, section: FieldSection, ends: bool) -> None:
        if stream_id <= self._last or stream_id % 2 == 0:
            self._check_late(stream_id, frames.HEADERS)
            return
        self._last = stream_id
        if stream_id > self._last_served:
            self._trifles.take(self._now)
            self._remember_reset(stream_id)
            return
        if self._held >= self._local.max_concurrent_streams:
            self._refuse(stream_id, "too many streams at once")
        large = section.size if section.size > LARGE_HEAD else 0
        if large and self._head_bytes + large > self._most_head_bytes:
            self._refuse(stream_id, "too many large heads at once")
        head = None if section.is_too_large else section.head or request_head(section)
        length = head.length if head else None
        if ends and length:
            raise malformed(stream_id, "a Content-Length without a body")
        stream = self._events.request_received(stream_id, head, ends)
        self.streams[stream_id] = stream
        self._held += 1
        self._trifles.earned += USEFUL
        self._resets_left.earned += RESETS_PER_STREAM
        stream.id = stream_id
        stream.can_send = stream.has_head = True
        stream.can_receive = not ends
        stream.is_released = False
        stream.send_window = self._peer.stream_window_bytes
        stream.receive_window = self._new_window
        stream.unconsumed = stream.consumed = stream.head_bytes = 0
        stream.body_left = length
        if large and head is not None:
            stream.head_bytes = large
            self._count_heads(large)

    def _close(self, stream: H2Stream) -> None:
        stream.can_send = stream.can_receive = False
        del self.streams[stream.id]
        if stream.is_released:
            self.release(stream)

    @property
    def _most_head_bytes(self) -> int:
        return guard.LARGE_HEADS * self._local.max_header_list_bytes

    def _count_heads(self, more: int) -> None:
        self._head_bytes += more
        self._events.large_heads(self._head_bytes)

    def _refuse(self, stream_id: int, why: str) -> NoReturn:
        self._events.stream_refused()
        raise H2StreamError(stream_id, ErrorCode.REFUSED_STREAM, why)

    def _is_idle(self, stream_id: int) -> bool:
        return stream_id > self._last or stream_id % 2 == 0

    def _last_of_peer(self) -> int:
        return self._last

    def _count_reset(self, cost: float = 1) -> None:
        self._resets_left.take(self._now, cost)
