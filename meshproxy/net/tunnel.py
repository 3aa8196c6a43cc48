"""Bytes both ways, once a request has become a tunnel: CONNECT and switched protocols.

RFC 9110 sections 9.3.6 and 7.8. One greenlet each way: the end of one side's data becomes a
half-close, a reset becomes a reset, and a tunnel that is idle both ways ends.
"""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Protocol

import gevent

from meshproxy.http.headers import Headers
from meshproxy.net.stream import Stream, StreamTimeout


class TunnelEnd(Protocol):
    """One side of a tunnel: a connection, see `Stream`, or a stream of one (HTTP/2)."""

    def receive(self, deadline: float) -> bytes:
        """Returns the next bytes; empty at the end. Raises StreamTimeout and OSError."""
        ...

    def send(self, data: bytes, timeout: float) -> None:
        """Sends all of *data*. Raises StreamTimeout and OSError."""
        ...

    def close_for_writing(self, timeout: float) -> None:
        """Half-closes: the peer sees the end of our data. Raises StreamTimeout and OSError."""
        ...

    def expire(self) -> None:
        """Ends a wait for something to read with StreamTimeout. For the hub only."""
        ...

    def reset(self) -> None:
        """Ends it, so that the peer cannot take what it got for complete."""
        ...


class Tunnel:
    """The endpoint's side of a tunnel, in place of a response body.

    *buffered* are bytes that followed the response head; *finish* is called once at the end.
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
        """True if bytes from the endpoint are buffered."""
        return bool(self.buffered)

    def read(self) -> bytes:
        """Returns what followed the response head, once; `relay` passes on the rest."""
        buffered, self.buffered = self.buffered, b""
        return buffered

    def __iter__(self) -> Iterator[bytes]:
        """Yields the same, as other bodies do."""
        if piece := self.read():
            yield piece

    def close(self) -> None:
        """Ends the tunnel; may be called again."""
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()

    def relay(
        self, client: TunnelEnd, head: bytes, sent: bytes, idle_seconds: float, timeout: float
    ) -> None:
        """Relays until both sides have ended, one breaks, or both are idle for *idle_seconds*.

        *head* is sent to the client first, *sent* is what the client sent after its request;
        *timeout* is as in `Stream.send`. If a side breaks, or the relay itself is ended, both are
        reset, so that neither takes what it received for complete.
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
            try:
                back.kill()
            finally:
                if relay.is_broken:
                    client.reset()
                    self.stream.reset()
                self.close()


class _Relay:
    """State of both directions: when data last moved, and if one has broken."""

    __slots__ = ("_idle_seconds", "_last", "_timeout", "is_broken")

    def __init__(self, idle_seconds: float, timeout: float) -> None:
        self._idle_seconds = idle_seconds
        self._timeout = timeout
        self._last = monotonic()
        self.is_broken = False
        """True if a side was reset, or does not accept what the other has sent."""

    def pump(self, source: TunnelEnd, sink: TunnelEnd, data: bytes) -> None:
        """Passes on *data* and what follows it, then half-closes *sink*; ends if idle both ways."""
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

    def _receive(self, source: TunnelEnd) -> bytes | None:
        """Returns the next bytes; empty at the end, None if the tunnel is idle or broken."""
        while True:
            try:
                return source.receive(self._last + self._idle_seconds)
            except StreamTimeout:
                if self.is_broken or monotonic() - self._last >= self._idle_seconds:
                    return None
