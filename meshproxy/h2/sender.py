"""The half of an HTTP/2 connection that sends: frames, within the peer's windows and settings."""

from meshproxy.h2 import frames, guard
from meshproxy.h2.encoder import Encodable, Encoder
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, MIN_FRAME_BYTES
from meshproxy.h2.guard import GRANT_BITS, SLIVER, USEFUL
from meshproxy.h2.heads import trailer_fields
from meshproxy.h2.settings import DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, PeerSettings
from meshproxy.h2.stream import H2Stream
from meshproxy.http.headers import Headers

MAX_REPLIES = 1000
"""Answers to PING and SETTINGS that may wait for a peer that does not read."""
_NONE: frozenset[bytes] = frozenset()
_pack = frames.HEAD.pack
_WHOLE = END_HEADERS | END_STREAM


class FrameSender:
    """Open streams, and what waits to be written to the socket."""

    __slots__ = (
        "_encoder",
        "_out",
        "_peer",
        "_replies",
        "_trifles",
        "send_window",
        "streams",
    )

    def __init__(self, now: float) -> None:
        self._trifles = guard.trifles(now)
        self._out: list[bytes | memoryview] = []
        self._replies = 0
        self._encoder = Encoder()
        self._peer = PeerSettings()
        self.send_window = DEFAULT_WINDOW_BYTES
        """Bytes that the peer's window for all streams together allows."""
        self.streams: dict[int, H2Stream] = {}
        """Streams that at least one side may still send on, by their numbers."""

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self.streams)

    def send_fields(
        self,
        stream: H2Stream,
        fields: tuple[Encodable, ...],
        ends: bool,
        never_indexed: frozenset[bytes] = _NONE,
        names: tuple[bytes, ...] = (),
    ) -> None:
        """Sends a head, or trailers, which end the stream; see `Encoder.encode` for the fields.

        Raises ValueError if the stream is not open for sending.
        """
        if not stream.can_send:
            raise _ended(stream)
        block = self._encoder.encode(fields, never_indexed, names)
        length = len(block)
        if length <= MIN_FRAME_BYTES:
            flags = _WHOLE if ends else END_HEADERS
            self._out.append(_pack(length * 256 + HEADERS, flags, stream.id) + block)
        else:
            largest = self._peer.max_frame_bytes
            self._out.append(frames.headers(stream.id, block, largest, ends=ends))
        if ends:
            stream.can_send = False
            if not stream.can_receive:
                self._close(stream)

    def send_whole(
        self,
        stream: H2Stream,
        fields: tuple[Encodable, ...],
        data: bytes,
        trailers: Headers | None = None,
        never_indexed: frozenset[bytes] = _NONE,
        names: tuple[bytes, ...] = (),
    ) -> bool:
        """Sends a message in one step: a head, a body, and trailers if there are some.

        Returns False, and sends nothing, if the windows do not allow that, or *data* may be more
        than a frame. Raises ValueError if the stream is not open for sending.
        """
        if not stream.can_send:
            raise _ended(stream)
        size = len(data)
        if size > stream.send_window or size > self.send_window or size > MIN_FRAME_BYTES:
            return False
        stream.send_window -= size
        self.send_window -= size
        self._trifles.earned += USEFUL + (size >> GRANT_BITS)
        block, number = self._encoder.encode(fields, never_indexed, names), stream.id
        length = len(block)
        if length <= MIN_FRAME_BYTES:
            head = _pack(length * 256 + HEADERS, END_HEADERS, number) + block
        else:
            head = frames.headers(number, block, self._peer.max_frame_bytes, ends=False)
        if trailers is not None and (last := trailer_fields(trailers))[0]:
            self._out += (head, _pack(size * 256 + DATA, 0, number), data) if size else (head,)
            self.send_fields(stream, last[0], True, trailers.never_indexed, last[1])
            return True
        self._out += (head, _pack(size * 256 + DATA, END_STREAM, number), data)
        stream.can_send = False
        if not stream.can_receive:
            self._close(stream)
        return True

    def send_data(
        self,
        stream: H2Stream,
        data: bytes | memoryview,
        ends: bool,
        most: int = MAX_WINDOW_BYTES,
    ) -> int:
        """Sends a piece of a body, which is not copied, in as many frames as it takes.

        Returns how much of it the windows allow, at most *most* bytes: if that is not all, it does
        not end the stream. Raises ValueError if the stream is not open for sending.
        """
        if not stream.can_send:
            raise _ended(stream)
        length = len(data)
        window, shared = stream.send_window - length, self.send_window - length
        if length and (window < 0 or shared < 0 or length > most):
            length = min(stream.send_window, self.send_window, most)
            if length <= 0:
                return 0
            data, ends = data[:length], False
            window, shared = stream.send_window - length, self.send_window - length
        stream.send_window, self.send_window = window, shared
        if length >= SLIVER or (window > 0 and shared > 0):
            self._trifles.earned += USEFUL + (length >> GRANT_BITS)
        last = length
        if length > self._peer.max_frame_bytes:
            data = self._send_all_but_last(stream, data)
            last = len(data)
        self._out.append(_pack(last * 256 + DATA, END_STREAM if ends else 0, stream.id))
        if last:
            self._out.append(data)
        if ends:
            stream.can_send = False
            if not stream.can_receive:
                self._close(stream)
        return length

    def send_frames(
        self, stream: H2Stream, pieces: list[bytes | memoryview], length: int, ends: bool
    ) -> None:
        """Sends a frame for each of *pieces* of a body, which are not copied.

        Each must fit in `frames.MIN_FRAME_BYTES`, and *length*, that of all of them, in both
        windows. Raises ValueError if the stream is not open for sending.
        """
        if not stream.can_send:
            raise _ended(stream)
        window = stream.send_window = stream.send_window - length
        shared = self.send_window = self.send_window - length
        if length >= SLIVER or (window > 0 and shared > 0):
            self._trifles.earned += USEFUL * len(pieces) + (length >> GRANT_BITS)
        out, stream_id = self._out, stream.id
        for piece in pieces:
            out += (_pack(len(piece) * 256 + DATA, 0, stream_id), piece)
        if ends:
            out[-2] = _pack(len(pieces[-1]) * 256 + DATA, END_STREAM, stream_id)
            stream.can_send = False
            if not stream.can_receive:
                self._close(stream)

    def _send_all_but_last(self, stream: H2Stream, data: bytes | memoryview) -> bytes | memoryview:
        """Sends frames as large as the peer takes, and returns what is left for one more."""
        at, largest = 0, self._peer.max_frame_bytes
        head = frames.head(largest, frames.DATA, 0, stream.id)
        while len(data) - at > largest:
            self._out += (head, data[at : at + largest])
            at += largest
        return data[at:]

    def reset(self, stream: H2Stream, code: int) -> None:
        """Resets *stream*, unless it is closed already."""
        if stream.id in self.streams:
            self._out.append(frames.rst_stream(stream.id, code))
            self._give_up(stream, is_ours=True)

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

    def _reply(self, frame: bytes, count: int = 1) -> None:
        self._replies += count
        if self._replies > MAX_REPLIES:
            raise H2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "too many PING or SETTINGS without reading the answers"
            )
        self._out.append(frame)

    def _close(self, stream: H2Stream) -> None:
        """Forgets *stream*, on which neither side sends any more; called once for each."""
        stream.can_send = stream.can_receive = False
        del self.streams[stream.id]

    def _last_of_peer(self) -> int:
        """Returns the highest stream that the peer has opened."""
        raise NotImplementedError

    def _give_up(self, stream: H2Stream, *, is_ours: bool) -> None:
        """Closes *stream*, which was reset, by us or by the peer."""
        raise NotImplementedError


def _ended(stream: H2Stream) -> ValueError:
    return ValueError(f"stream {stream.id} is {stream.state.value}")
