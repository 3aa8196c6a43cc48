"""HTTP/2 without sockets: frames by hand, what a connection said, and two engines joined."""

import inspect
from collections.abc import Iterable
from typing import Any, TypeAlias

from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame, WindowUpdateFrame

from meshproxy.h2 import frames
from meshproxy.h2.client import H2Client
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from meshproxy.h2.stream import H2Stream

GET = b"\x82\x86\x84\x01\x03web"
"""The block of GET http://web/, without an entry for the dynamic table."""
POST = b"\x83\x86\x84\x01\x03web"
OK = b"\x88"
TRAILERS = b"\x00\x01x\x01y"
SETTINGS = frames.settings(())
NOW = 100.0
Event: TypeAlias = tuple[Any, ...]
STREAM_EVENTS = {
    name: len(inspect.signature(method).parameters)
    for name, method in inspect.getmembers(H2Stream, inspect.isfunction)
}
"""What a stream is told, and with how many arguments, the stream being one of them."""


class Recorder:
    """Events as they came: name, stream id (None without a stream), and what came with it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.streams: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def record(*arguments: Any) -> Any:
            first, *others = arguments or (None,)
            others = [bytes(each) if isinstance(each, memoryview) else each for each in others]
            self.events.append((name, first, *others))
            return self.stream(first) if name.startswith("request_") else None

        return record

    def stream(self, stream_id: int) -> "RecordedStream":
        """Return a new stream, to be opened."""
        self.streams[stream_id] = made = RecordedStream()
        made.recorder = self
        return made

    def named(self, name: str) -> list[Event]:
        """Return the events of that name, without it."""
        return [event[1:] for event in self.events if event[0] == name]


class RecordedStream(H2Stream):
    """A stream whose events are a recorder's."""

    recorder: Recorder


def _told(name: str) -> Any:
    return lambda stream, *arguments: getattr(stream.recorder, name)(stream.id, *arguments)


for _name in STREAM_EVENTS:
    setattr(RecordedStream, _name, _told(_name))


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a frame, whatever it says."""
    return frames.head(len(payload), kind, flags, stream_id) + payload


def sendable(connection: H2Connection, stream: H2Stream) -> int:
    """Return the bytes of a body that may be sent on *stream* now."""
    return max(0, min(stream.send_window, connection.send_window))


def read_head(data: bytes, at: int = 0) -> tuple[int, int, int, int]:
    """Return length, type, flags and stream of the frame at *at*."""
    word, flags, stream_id = frames.HEAD.unpack_from(data, at)
    return word >> 8, word & 255, flags, stream_id & frames.MAX_STREAM_ID


def headers(stream_id: int, block: bytes = GET, *, ends: bool = True) -> bytes:
    """Return a HEADERS frame with a whole block."""
    return frame(frames.HEADERS, frames.END_HEADERS | ends, stream_id, block)


def data(stream_id: int, payload: bytes = b"", *, ends: bool = False) -> bytes:
    """Return a DATA frame."""
    return frame(frames.DATA, int(ends), stream_id, payload)


def server(**local: Any) -> tuple[H2Server, Recorder]:
    """Return a server whose client has sent its preface and SETTINGS, and acknowledged ours."""
    recorder = Recorder()
    made = H2Server(recorder, LocalSettings(**local), NOW)
    made.receive(frames.PREFACE + SETTINGS + frames.SETTINGS_ACK, NOW)
    made.take()
    recorder.events.clear()
    return made, recorder


def client(**local: Any) -> tuple[H2Client, Recorder]:
    """Return a client whose server has sent its SETTINGS, and acknowledged ours."""
    recorder = Recorder()
    made = H2Client(recorder, LocalSettings(**local), NOW)
    made.receive(SETTINGS + frames.SETTINGS_ACK, NOW)
    made.take()
    recorder.events.clear()
    return made, recorder


def get(connection: H2Client, *, ends: bool = True, **options: Any) -> Any:
    """Open a stream with a request and return it."""
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"))
    stream = connection._events.stream(connection._next)  # type: ignore[attr-defined]
    connection.open(stream, **options)
    connection.send_fields(stream, fields, ends)
    return stream


def said(connection: H2Connection) -> list[Frame]:
    """Return the frames that *connection* has to send, read by hyperframe."""
    return parsed(b"".join(connection.take()))


def parsed(raw: bytes) -> list[Frame]:
    """Return the frames of *raw*."""
    found = []
    raw = raw.removeprefix(frames.PREFACE)
    while raw:
        read, length = Frame.parse_frame_header(memoryview(raw[:9]))
        read.parse_body(memoryview(raw[9 : 9 + length]))
        found.append(read)
        raw = raw[9 + length :]
    return found


def verdict(connection: H2Connection, received: Iterable[bytes]) -> str:
    """Tell what *connection* thinks of *received*: `fine`, `goaway CODE` or `reset ID CODE`."""
    raised = None
    try:
        for piece in received:
            connection.receive(piece, NOW)
    except H2ConnectionError as error:
        raised = error.code
    answers = said(connection)
    last = answers[-1].error_code if answers and isinstance(answers[-1], GoAwayFrame) else None
    assert raised == last, "an error of the connection, and nothing else, is said by GOAWAY"
    if raised is not None:
        return f"goaway {raised.name}"
    resets = [each for each in answers if isinstance(each, RstStreamFrame)]
    return (
        " ".join(f"reset {each.stream_id} {ErrorCode(each.error_code).name}" for each in resets)
        or "fine"
    )


def granted(connection: H2Connection) -> dict[int, int]:
    """Return the bytes that the WINDOW_UPDATE frames to be sent grant, by stream."""
    found: dict[int, int] = {}
    for each in said(connection):
        if isinstance(each, WindowUpdateFrame):
            found[each.stream_id] = found.get(each.stream_id, 0) + each.window_increment
    return found
