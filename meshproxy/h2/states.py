"""The states of a stream (RFC 9113 section 5.1). Push is off, so none is reserved."""

import enum

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode, H2ConnectionError, H2StreamError


class StreamState(enum.Enum):
    """Where a stream is in its life, seen from our side."""

    IDLE = "idle"
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half-closed (local)"
    HALF_CLOSED_REMOTE = "half-closed (remote)"
    CLOSED = "closed"
    RESET = "closed by our own RST_STREAM"


class FrameVerdict(enum.Enum):
    """What becomes of a received frame."""

    ACCEPT = "it is processed"
    IGNORE = "it crossed the stream's end on the way"
    STREAM_CLOSED = "stream error STREAM_CLOSED"
    CONNECTION_STREAM_CLOSED = "connection error STREAM_CLOSED"
    CONNECTION_PROTOCOL_ERROR = "connection error PROTOCOL_ERROR"


_ALL = (frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.WINDOW_UPDATE)

RECEIVED: dict[tuple[StreamState, int], FrameVerdict] = {
    **{(StreamState.IDLE, kind): FrameVerdict.CONNECTION_PROTOCOL_ERROR for kind in _ALL},
    **{(StreamState.OPEN, kind): FrameVerdict.ACCEPT for kind in _ALL},
    **{(StreamState.HALF_CLOSED_LOCAL, kind): FrameVerdict.ACCEPT for kind in _ALL},
    (StreamState.HALF_CLOSED_REMOTE, frames.DATA): FrameVerdict.STREAM_CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, frames.HEADERS): FrameVerdict.STREAM_CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, frames.RST_STREAM): FrameVerdict.ACCEPT,
    (StreamState.HALF_CLOSED_REMOTE, frames.WINDOW_UPDATE): FrameVerdict.ACCEPT,
    (StreamState.CLOSED, frames.DATA): FrameVerdict.STREAM_CLOSED,
    (StreamState.CLOSED, frames.HEADERS): FrameVerdict.CONNECTION_STREAM_CLOSED,
    (StreamState.CLOSED, frames.RST_STREAM): FrameVerdict.IGNORE,
    (StreamState.CLOSED, frames.WINDOW_UPDATE): FrameVerdict.IGNORE,
    **{(StreamState.RESET, kind): FrameVerdict.IGNORE for kind in _ALL},
}
"""By state and type of frame. PRIORITY may come in every state; HEADERS that open a stream are the
server's business, and no other ones may come for an idle stream."""


def check_late(stream_id: int, state: StreamState, kind: int) -> None:
    """Raises the error of a frame of type *kind* in *state*; returns if it may be ignored."""
    verdict = RECEIVED[state, kind]
    if verdict in (FrameVerdict.ACCEPT, FrameVerdict.IGNORE):
        return
    what = f"a frame of type {kind} on a stream that is {state.value}"
    if verdict is FrameVerdict.STREAM_CLOSED:
        raise H2StreamError(stream_id, ErrorCode.STREAM_CLOSED, what)
    if verdict is FrameVerdict.CONNECTION_STREAM_CLOSED:
        raise H2ConnectionError(ErrorCode.STREAM_CLOSED, f"{what}: {stream_id}")
    raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{what}: {stream_id}")
