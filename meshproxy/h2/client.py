"""The client's side of an HTTP/2 connection: streams begin with a request of ours."""

from meshproxy.h2 import frames, guard
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, malformed, too_large
from meshproxy.h2.events import H2Events
from meshproxy.h2.fields import ResponseHead, response_head
from meshproxy.h2.frames import MAX_STREAM_ID
from meshproxy.h2.guard import USEFUL
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reader import FrameReader
from meshproxy.h2.section import FieldSection
from meshproxy.h2.settings import ENABLE_PUSH, LocalSettings
from meshproxy.h2.stream import H2Stream

_BODILESS = (204, 304)
_CALM = 1 / 2
"""Resets that are sent at once, as a part of those that a server of ours lets a client send."""
_EARNED = guard.RESETS_PER_STREAM * _CALM


@own_methods
class ClientReader(FrameReader):
    """Reads what a server sends."""

    __slots__ = ()


@own_methods
class H2Client(H2Connection):
    """Tells the streams of requests what a server responds.

    Requests of many clients share the connection, and their resets add up on it. The server might
    take them for an attack (CVE-2023-44487) and end the requests of all, so they are paced: beyond
    a number, a stream ends here at once, and its RST_STREAM is sent later.
    """

    __slots__ = ("_allowed_resets", "_is_going", "_next", "late_resets", "most_streams")

    _reader = ClientReader

    def __init__(self, events: H2Events, local: LocalSettings, now: float) -> None:
        super().__init__(events, local, now, is_client=True)
        self._next = 1
        self._is_going = False
        self._allowed_resets = guard.resets(now, _CALM)
        self.late_resets: dict[int, int] = {}
        """Codes by stream, in the order in which they are to be sent."""
        self.most_streams = self._peer.max_concurrent_streams
        """Streams that may be open now: what the server allows, without those in `late_resets`."""

    @property
    def room(self) -> int:
        """Streams that the server takes now besides those that are open; 0 or less if none."""
        return self.most_streams - len(self.streams)

    @property
    def is_exhausted(self) -> bool:
        """True if no more streams can be opened: another connection is needed."""
        return self._is_going or self._next > frames.MAX_STREAM_ID

    def open(self, stream: H2Stream, is_bodiless: bool = False) -> None:
        """Opens *stream*; what is sent next is the head of its request.

        *is_bodiless* says that the response will have no body whatever it says (HEAD). Raises
        ValueError without `room`.
        """
        if len(self.streams) >= self.most_streams:
            raise ValueError("the server takes no more streams")
        stream.id = stream_id = self._next
        self.streams[stream_id] = stream
        self._next = stream_id + 2
        if stream_id + 2 > MAX_STREAM_ID:
            self._count_streams()
        self._trifles.earned += USEFUL
        self._allowed_resets.earned += _EARNED
        stream.can_send = stream.can_receive = True
        stream.has_head = False
        stream.send_window = self._peer.stream_window_bytes
        stream.receive_window = self._new_window
        stream.unconsumed = stream.consumed = 0
        stream.is_bodiless = is_bodiless

    def reset(self, stream: H2Stream, code: int) -> None:
        """Resets *stream*, unless it is closed already; the server may hear of it later."""
        if not self.late_resets and self._allowed_resets.may_take(self._now):
            super().reset(stream, code)
        elif stream.id in self.streams:
            self.late_resets[stream.id] = code
            self._give_up(stream, is_ours=True)
            self._count_streams()

    def send_late_resets(self, now: float) -> None:
        """Sends as many of those that wait as are allowed at monotonic second *now*."""
        while self.late_resets and self._allowed_resets.may_take(now):
            stream_id = next(iter(self.late_resets))
            code = self.late_resets.pop(stream_id)
            self._out.append(frames.rst_stream(stream_id, code))
            self._remember_reset(stream_id)
        self._count_streams()

    def settings_frame(self, payload: bytes) -> None:
        """Follows the server's settings, and acknowledges them; none of them may allow push."""
        if (ENABLE_PUSH, 1) in frames.read_settings(payload):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH of a server")
        super().settings_frame(payload)
        self._count_streams()

    def goaway_frame(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Ends the streams that the server has not looked at as if it had refused them."""
        self._is_going = True
        self._count_streams()
        for stream in [each for each in self.streams.values() if each.id > last_stream_id]:
            self._give_up(stream, is_ours=False)
            stream.reset_received(ErrorCode.REFUSED_STREAM)
        super().goaway_frame(last_stream_id, code, debug)

    def _count_streams(self) -> None:
        allowed = 0 if self.is_exhausted else self._peer.max_concurrent_streams
        self.most_streams = max(0, allowed - len(self.late_resets))

    def _begin(self, stream_id: int, section: FieldSection, ends: bool) -> None:
        del section, ends
        self._check_late(stream_id, frames.HEADERS)

    def _head(self, stream: H2Stream, section: FieldSection, ends: bool) -> None:
        if section.is_too_large:
            raise too_large(stream.id)
        head: ResponseHead = section.head or response_head(section)
        if head.status < 200:
            if ends:
                raise malformed(stream.id, "an interim response with END_STREAM")
            self._trifles.take(self._now)
            stream.interim_received(head)
            return
        stream.has_head = True
        if stream.is_bodiless or head.status in _BODILESS:
            stream.body_left = 0
        else:
            stream.body_left = head.length
        if ends:
            self._receive_end(stream)
        stream.response_received(head, ends)

    def _check_late(self, stream_id: int, kind: int) -> None:
        """Ignores frames on a stream whose reset has not been sent to the server yet."""
        if stream_id not in self.late_resets:
            super()._check_late(stream_id, kind)

    def _is_idle(self, stream_id: int) -> bool:
        return stream_id >= self._next or stream_id % 2 == 0

    def _last_of_peer(self) -> int:
        return 0

    def _count_reset(self, cost: float = 1) -> None:
        self._trifles.take(self._now, cost)
