"""The receiving half of flow control (RFC 9113 sections 5.2 and 6.9)."""

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.sender import FrameSender
from meshproxy.h2.settings import DEFAULT_WINDOW_BYTES, LocalSettings
from meshproxy.h2.stream import H2Stream


class FlowControl(FrameSender):
    """Grants the peer again what it has sent and we have used; the rest holds its stream back.

    The connection is granted all that comes, since its window is that of everybody else's streams.
    Once that is enough for `windowUpdateRatio`, it goes with whatever is sent next; once it is half
    of a window, at once: a send for each frame that comes would cost more than the frame.
    """

    __slots__ = (
        "_due", "_enough", "_half", "_is_urgent", "_receive_window", "_stream_enough",
        "_stream_half", "_window",
    )  # fmt: skip

    def __init__(self, local: LocalSettings, now: float) -> None:
        super().__init__(now)
        size = max(local.connection_window_bytes, DEFAULT_WINDOW_BYTES)
        self._window = self._receive_window = size
        self._enough, self._half = size - local.least_grant(size), size - size // 2
        """What is left of the connection's window when more is granted, and when at once."""
        self._stream_enough = local.least_grant(local.stream_window_bytes)
        self._stream_half = local.stream_window_bytes // 2
        self._due: set[int] = set()
        """Streams that may send more, 0 for the connection: a frame each."""
        self._is_urgent = False
        """True if what is due should not wait for other output."""

    def has_output(self) -> bool:
        """Returns True if `take` would return anything."""
        return self._is_urgent or bool(self._out)

    def take(self) -> list[bytes | memoryview]:
        """Returns what is to be written, in order, and forgets it; what is granted is part of it.

        Called when the socket takes more; what is not taken is what limits answers to PINGs.
        """
        if self._due and (self._is_urgent or self._out):
            self._write_grants()
        out, self._out = self._out, []
        self._replies = 0
        return out

    def consume(self, stream: H2Stream, count: int) -> bool:
        """Counts *count* bytes that came on *stream* as used, so that the peer may send more.

        Returns True if the peer should be told at once.
        """
        left = stream.unconsumed - count
        if left < 0:
            count, left = stream.unconsumed, 0
        stream.unconsumed = left
        if stream.can_receive:
            stream.consumed += count
            if stream.consumed >= self._stream_enough:
                self._due.add(stream.id)
                if stream.consumed >= self._stream_half:
                    self._is_urgent = True
            if not left and stream.receive_window < frames.MIN_FRAME_BYTES and stream.consumed:
                self._due.add(stream.id)
                self._is_urgent = True
        return self._is_urgent

    def _grant_at_once(self) -> None:
        """Hurries what is due to the connection. Raises H2ConnectionError if too much came."""
        if self._receive_window < 0:
            why = "more DATA than the connection's window"
            raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, why)
        self._is_urgent = True

    def _write_grants(self) -> None:
        out, streams = self._out, self.streams
        for stream_id in self._due:
            if not stream_id:
                out.append(frames.window_update(0, self._window - self._receive_window))
                self._receive_window = self._window
            elif (stream := streams.get(stream_id)) is not None and stream.can_receive:
                out.append(frames.window_update(stream_id, stream.consumed))
                stream.receive_window += stream.consumed
                stream.consumed = 0
        self._due.clear()
        self._is_urgent = False
