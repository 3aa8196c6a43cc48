"""Bytes both ways, once a request has become a tunnel: CONNECT and switched protocols.

RFC 9110 sections 9.3.6 and 7.8. One greenlet each way; a side that ends its data is passed on as a
half-close, a reset as a reset, and silence both ways ends the tunnel.
"""

from collections.abc import Callable, Iterator
from time import monotonic

import gevent

from meshproxy.http.headers import Headers
from meshproxy.net.stream import Stream, StreamTimeout


class Tunnel:
    """The endpoint's end of a tunnel, in place of a response body.

    *buffered* are bytes that came behind the response head; *finish* is told of the end, once.
    """

    __slots__ = ("_finish", "buffered", "stream")

    length: int | None = None
    trailers: Headers | None = None

    def __init__(self, stream: Stream, buffered: bytes, finish: Callable[[], None]) -> None:
        self.stream = stream
        self.buffered = buffered
        self._finish: Callable[[], None] | None = finish

    @property
    def has_piece(self) -> bool:
        """Bytes from the endpoint are at hand."""
        return bool(self.buffered)

    def read(self) -> bytes:
        """What came behind the response head, once; the rest is for `relay`."""
        buffered, self.buffered = self.buffered, b""
        return buffered

    def __iter__(self) -> Iterator[bytes]:
        """The same, as for other bodies."""
        if piece := self.read():
            yield piece

    def close(self) -> None:
        """End the tunnel; harmless when repeated."""
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()

    def relay(
        self, client: Stream, head: bytes, sent: bytes, idle_seconds: float, timeout: float
    ) -> None:
        """Relays until both sides have ended, one breaks, or nothing moves for *idle_seconds*.

        *head* is the client's to read first, *sent* is what it sent behind its request; *timeout*
        is as in `Stream.send`. If a side breaks, or the relay itself is ended, both are reset, so
        that neither takes what it has got for everything.
        """
        relay = _Relay(idle_seconds, timeout)
        back = gevent.spawn(relay.pump, self.stream, client, head + self.read())
        try:
            relay.pump(client, self.stream, sent)
            if not relay.is_broken:
                back.join()
        except BaseException:
            relay.is_broken = True
            raise
        finally:
            back.kill()
            if relay.is_broken:
                client.reset()
                self.stream.reset()
            self.close()


class _Relay:
    """What the two directions share: when something last moved, and whether one has broken."""

    __slots__ = ("_idle_seconds", "_last", "_timeout", "is_broken")

    def __init__(self, idle_seconds: float, timeout: float) -> None:
        self._idle_seconds = idle_seconds
        self._timeout = timeout
        self._last = monotonic()
        self.is_broken = False
        """A side was reset, or does not take what the other has sent."""

    def pump(self, source: Stream, sink: Stream, data: bytes) -> None:
        """Passes on *data* and what follows it, then half-closes *sink*, unless all is silent."""
        received: bytes | None = data
        try:
            while True:
                if received:
                    sink.send(received, self._timeout)
                    self._last = monotonic()
                received = self._receive(source)
                if not received:
                    break
            if received is not None:
                sink.close_for_writing(self._timeout)
        except (OSError, StreamTimeout):
            self.is_broken = True
            gevent.get_hub().loop.run_callback(sink.expire)

    def _receive(self, source: Stream) -> bytes | None:
        """Returns the next bytes, none at the end of data, None if the tunnel is idle or broken."""
        while True:
            try:
                return source.receive(self._last + self._idle_seconds)
            except StreamTimeout:
                if self.is_broken or monotonic() - self._last >= self._idle_seconds:
                    return None
