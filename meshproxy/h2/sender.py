"""The half of an HTTP/2 connection that sends: frames, within the peer's windows and settings."""

from meshproxy.h2 import frames
from meshproxy.h2.encoder import Encoder
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.guard import Guard
from meshproxy.h2.settings import DEFAULT_WINDOW_BYTES, PeerSettings
from meshproxy.h2.states import StreamState, StreamStep
from meshproxy.h2.static_table import Field
from meshproxy.h2.stream import H2Stream

MAX_REPLIES = 1000
"""Answers to PING and SETTINGS that may wait for a peer that does not read."""
_NONE: frozenset[bytes] = frozenset()


class FrameSender:
    """Open streams, and what waits to be written to the socket."""

    __slots__ = (
        "_encoder",
        "_grants",
        "_guard",
        "_out",
        "_peer",
        "_replies",
        "_send_window",
        "_streams",
    )

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._out: list[bytes | memoryview] = []
        self._grants: dict[int, int] = {}
        """Bytes to be granted to the peer by stream, 0 for the connection: one frame for each."""
        self._replies = 0
        self._encoder = Encoder()
        self._peer = PeerSettings()
        self._send_window = DEFAULT_WINDOW_BYTES
        self._streams: dict[int, H2Stream] = {}

    @property
    def open_streams(self) -> int:
        """Streams that at least one side may still send on."""
        return len(self._streams)

    @property
    def streams(self) -> list[H2Stream]:
        """Those streams."""
        return list(self._streams.values())

    @property
    def has_window(self) -> bool:
        """True if the connection's window allows any DATA."""
        return self._send_window > 0

    @property
    def has_output(self) -> bool:
        """True if `take` would return anything."""
        return bool(self._out or self._grants)

    def take(self) -> list[bytes | memoryview]:
        """Returns what is to be written, in order, and forgets it.

        Called when the socket takes more; what is not taken is what limits answers to PINGs.
        """
        out, self._out = self._out, []
        if self._grants:
            for stream_id, count in self._grants.items():
                if not stream_id or stream_id in self._streams:
                    out.append(frames.window_update(stream_id, count))
            self._grants.clear()
        self._replies = 0
        return out

    def sendable(self, stream: H2Stream) -> int:
        """Returns the bytes of a body that may be sent on *stream* now."""
        return max(0, min(stream.send_window, self._send_window))

    def send_fields(
        self,
        stream: H2Stream,
        fields: tuple[Field, ...],
        *,
        ends: bool,
        never_indexed: frozenset[bytes] = _NONE,
    ) -> None:
        """Sends a head, or trailers, which end the stream.

        Raises ValueError if the stream is not open for sending.
        """
        _check(stream)
        block = self._encoder.encode(fields, never_indexed)
        self._out.append(frames.headers(stream.id, block, self._peer.max_frame_bytes, ends=ends))
        if ends:
            self._end(stream, StreamStep.SEND_END)

    def send_data(self, stream: H2Stream, data: bytes | memoryview, *, ends: bool) -> None:
        """Sends a piece of a body, which is not copied, in as many frames as it takes.

        Raises ValueError for more than is `sendable`, and if the stream is not open for sending.
        """
        _check(stream)
        length = len(data)
        if length > self.sendable(stream):
            raise ValueError(f"{length} bytes on stream {stream.id} are more than its windows")
        stream.send_window -= length
        self._send_window -= length
        if length >= Guard.SLIVER or self.sendable(stream):
            self._guard.trifles.give(Guard.USEFUL + (length >> Guard.GRANT_BITS))
        at = 0
        largest = self._peer.max_frame_bytes
        while length - at > largest:
            piece = data[at : at + largest]
            self._out += (frames.head(largest, frames.DATA, 0, stream.id), piece)
            at += largest
        flags = frames.END_STREAM if ends else 0
        self._out.append(frames.head(length - at, frames.DATA, flags, stream.id))
        if length > at:
            self._out.append(data[at:] if at else data)
        if ends:
            self._end(stream, StreamStep.SEND_END)

    def reset(self, stream: H2Stream, code: int) -> None:
        """Resets *stream*, unless it is closed already."""
        if stream.id in self._streams:
            self._out.append(frames.rst_stream(stream.id, code))
            self._end(stream, StreamStep.SEND_RESET)

    def ping(self, payload: bytes) -> None:
        """Asks the peer for a sign of life; *payload* has eight bytes."""
        self._out.append(frames.ping(payload, is_answer=False))

    def go_away(
        self,
        code: int = ErrorCode.NO_ERROR,
        debug: bytes = b"",
        last_stream_id: int | None = None,
    ) -> None:
        """Tells the peer which of its streams is the last that is served: by default, the last yet.

        A graceful end begins with `frames.MAX_STREAM_ID` and says the true one after a round trip
        (RFC 9113 section 6.8).
        """
        last = self._last_of_peer() if last_stream_id is None else last_stream_id
        self._out.append(frames.goaway(last, code, debug))

    def _reply(self, frame: bytes) -> None:
        self._replies += 1
        if self._replies > MAX_REPLIES:
            raise H2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "too many PING or SETTINGS without reading the answers"
            )
        self._out.append(frame)

    def _end(self, stream: H2Stream, step: StreamStep) -> None:
        """Takes *step*, which ends one direction of *stream* or both."""
        stream.step(step)
        if stream.state is StreamState.CLOSED or stream.state is StreamState.RESET:
            del self._streams[stream.id]
            self._closed(stream)

    def _last_of_peer(self) -> int:
        """Returns the highest stream that the peer has opened."""
        raise NotImplementedError

    def _closed(self, stream: H2Stream) -> None:
        """Called once for each stream, when it is no longer open."""
        raise NotImplementedError


def _check(stream: H2Stream) -> None:
    if not stream.can_send:
        raise ValueError(f"stream {stream.id} is {stream.state.value}")
