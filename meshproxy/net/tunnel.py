"""Bytes both ways, once a request has become a tunnel: CONNECT and switched protocols.

RFC 9110 sections 9.3.6 and 7.8. One greenlet each way; a side that ends its data is passed on as a
half-close, and silence both ways ends the tunnel.
"""

from collections.abc import Callable, Iterator
from time import monotonic

import gevent

from meshproxy.http.headers import Headers
from meshproxy.net.stream import Stream, StreamTimeout


class Tunnel:
    """The endpoint's end of a tunnel, in place of a response body.

    *at_hand* are bytes that came behind the response head; *finish* is told of the end, once.
    """

    __slots__ = ("_finish", "at_hand", "stream")

    length: int | None = None
    trailers: Headers | None = None

    def __init__(self, stream: Stream, at_hand: bytes, finish: Callable[[], None]) -> None:
        self.stream = stream
        self.at_hand = at_hand
        self._finish: Callable[[], None] | None = finish

    @property
    def has_piece(self) -> bool:
        """Bytes from the endpoint are at hand."""
        return bool(self.at_hand)

    def read(self) -> bytes:
        """What came behind the response head, once; the rest is for `relay`."""
        at_hand, self.at_hand = self.at_hand, b""
        return at_hand

    def __iter__(self) -> Iterator[bytes]:
        """The same, as for other bodies."""
        if piece := self.read():
            yield piece

    def close(self) -> None:
        """End the tunnel; harmless when repeated."""
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()

    def relay(self, client: Stream, sent: bytes, idle_seconds: float, gap: float) -> None:
        """Relay until both sides have ended, one breaks, or nothing moves for *idle_seconds*.

        *sent* is what the client sent behind its request; *gap* is as in `Stream.send`.
        """
        relay = _Relay(idle_seconds, gap)
        back = gevent.spawn(relay.pump, self.stream, client, self.read())
        try:
            relay.pump(client, self.stream, sent)
            back.join()
        finally:
            back.kill()
            self.close()


class _Relay:
    """What the two directions share: when something last moved, and whether one has broken."""

    __slots__ = ("_gap", "_idle_seconds", "_is_broken", "_last")

    def __init__(self, idle_seconds: float, gap: float) -> None:
        self._idle_seconds = idle_seconds
        self._gap = gap
        self._last = monotonic()
        self._is_broken = False

    def pump(self, source: Stream, sink: Stream, data: bytes) -> None:
        """Pass on *data* and what follows it, then half-close *sink*."""
        try:
            while True:
                if data:
                    sink.send(data, self._gap)
                    self._last = monotonic()
                data = self._receive(source)
                if not data:
                    break
            sink.close_for_writing(self._gap)
        except (OSError, StreamTimeout):
            self._is_broken = True
            gevent.get_hub().loop.run_callback(sink.expire)

    def _receive(self, source: Stream) -> bytes:
        """The next bytes. Raises StreamTimeout when the whole tunnel is idle or broken."""
        while True:
            try:
                return source.receive(self._last + self._idle_seconds)
            except StreamTimeout:
                if self._is_broken or monotonic() - self._last >= self._idle_seconds:
                    raise
