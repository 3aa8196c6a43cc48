"""Clients of HTTP/2 that keep asking while something happens to the proxy."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import gevent
from gevent import socket
from gevent.event import Event
from hpack import Decoder
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame

from meshproxy.h2 import frames

from .daemons import START_S
from .h2 import SETTINGS, headers, parsed
from .wire import dial

STREAMS = 8
"""Open at once on each connection."""
_WINDOW = 1 << 30


@dataclass
class Seen:
    """What clients have seen."""

    answered: list[tuple[int, bytes]] = field(default_factory=list)
    """Status and body of each response."""
    lost: list[str] = field(default_factory=list)
    """Requests that the proxy had not declined, and that got no response."""
    declined: int = 0
    """Requests above the last stream of a GOAWAY, or refused: safe to send again."""
    goaways: int = 0
    refusals: int = 0
    """Connections that nobody accepted."""


class _Client:
    """One connection, which is asked for `web` on several streams until it may take no more."""

    def __init__(self, sock: socket.socket, seen: Seen) -> None:
        self._sock, self._seen = sock, seen
        self._open: dict[int, list[bytes]] = {}
        self._next = 1
        self._is_over = False
        self._rest = b""
        self._decoder = Decoder()
        self._statuses: dict[int, int] = {}
        wide = frames.window_update(0, _WINDOW)
        sock.sendall(frames.PREFACE + SETTINGS + wide)

    def run(self, over: Event) -> None:
        """Ask until *over*, or until GOAWAY, and read what was asked for to its end."""
        while True:
            while len(self._open) < STREAMS and not (self._is_over or over.is_set()):
                self._open[self._next] = []
                self._sock.sendall(headers(self._next))
                self._next += 2
            if not self._open:
                return
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self._seen.lost += [f"stream {one}: the connection ended" for one in self._open]
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 9:
            end = 9 + int.from_bytes(self._rest[:3])
            if len(self._rest) < end:
                return
            raw, self._rest = self._rest[:end], self._rest[end:]
            for frame in parsed(raw):
                self._frame(frame)

    def _frame(self, frame: object) -> None:
        if isinstance(frame, GoAwayFrame):
            self._is_over = True
            self._seen.goaways += 1
            for stream_id in [one for one in self._open if one > frame.last_stream_id]:
                self._open.pop(stream_id)
                self._seen.declined += 1
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self._sock.sendall(frames.ping(frame.opaque_data, is_answer=True))
        elif isinstance(frame, RstStreamFrame) and frame.stream_id in self._open:
            self._open.pop(frame.stream_id)
            self._seen.lost.append(f"stream {frame.stream_id}: reset {frame.error_code}")
        elif isinstance(frame, HeadersFrame | DataFrame):
            self._message(frame)

    def _message(self, frame: HeadersFrame | DataFrame) -> None:
        stream_id = frame.stream_id
        if isinstance(frame, HeadersFrame):
            fields = dict(self._decoder.decode(frame.data))
            self._statuses[stream_id] = int(fields[":status"])
        else:
            self._open[stream_id].append(frame.data)
        if "END_STREAM" in frame.flags:
            body = b"".join(self._open.pop(stream_id))
            self._seen.answered.append((self._statuses.pop(stream_id), body))


@contextmanager
def h2_load(port: int, clients: int = 4) -> Iterator[Seen]:
    """Ask *port* for `web` over and over, and give what has been seen so far.

    So many *clients* each keep one connection, and open another when it takes no more. At the end
    of the block each finishes its requests; what went wrong for any of them is raised there.
    """
    over = Event()
    seen = Seen()

    def keep_asking() -> None:
        while not over.is_set():
            try:
                with dial(("127.0.0.1", port), START_S) as sock:
                    _Client(sock, seen).run(over)
            except ConnectionRefusedError:
                seen.refusals += 1
                gevent.sleep(0.01)

    asking = [gevent.spawn(keep_asking) for _ in range(clients)]
    try:
        yield seen
    finally:
        over.set()
        with suppress(BrokenPipeError):
            gevent.joinall(asking, timeout=START_S, raise_error=True)
