"""One HTTP/2 connection on its socket, for servers and clients alike (RFC 9113).

A session has no greenlet. Its read watcher hands what has arrived to the engine, which calls the
session back; streams and bodies go on from there. Greenlets that wait are switched to once all of
one read has been handled (`soon`). Only the hub may call what the watcher and the wheel call.
"""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from gevent import get_hub

from meshproxy.errors import ProxyError
from meshproxy.h2.errors import ErrorCode
from meshproxy.http.limits import Limits
from meshproxy.net.h2.linger import Linger
from meshproxy.net.h2.outbound import Outbound
from meshproxy.net.h2.reader import SessionReader
from meshproxy.net.stream import Stream
from meshproxy.net.wheel import wheel

_SETTINGS_SECONDS = 10.0
"""Time for the peer to acknowledge our SETTINGS."""


class H2Session(SessionReader):
    """The H2Events of the engine; a subclass makes the engine, and knows whose requests these are.

    The engine's streams are `SessionStream`s. Times are those of *limits*.
    """

    __slots__ = (
        "_acknowledged_by", "_is_finishing", "deadline", "ending", "filed_until",
        "on_closed", "switch",
    )  # fmt: skip

    def __init__(self, stream: Stream, limits: Limits) -> None:
        hub = get_hub()
        super().__init__(stream, hub.loop, limits)
        self.switch: Callable[[], object] = hub.switch
        """Lets others run until the greenlet that calls it is switched to again."""
        self.ending = ""
        """Why it ended, as a counter's name: `idle`, `lifetime`, `write_timeout`; else empty."""
        self.on_closed: Callable[[], object] | None = None
        """Called once the socket is closed."""
        self._is_finishing = False
        self._acknowledged_by = monotonic() + _SETTINGS_SECONDS
        self.deadline = self.filed_until = inf

    def start(self, received: bytes = b"", *, greets: bool = True) -> None:
        """Begins to read and to write; *received* has been read already.

        Unless it *greets*, nothing is sent before something has come.
        """
        self.stream.follow(self._readable)
        if greets:
            self.touch()
        self.watch_until(self.due())
        self._loop.run_callback(self._begin, received)

    def go_away(self, code: int = ErrorCode.NO_ERROR, debug: bytes = b"") -> None:
        """Says that no new stream is served; the session closes once there is none left."""
        if not self.is_ending and not self.is_closed:
            self.is_ending = True
            self.engine.go_away(code, debug)
            self.touch()

    def lost(self, ending: str) -> None:
        """Ends the session at once: the peer is gone, or does not read. Harmless if repeated."""
        if not self.is_closed:
            self.ending = self.ending or ending
            self._end_streams("the connection was lost")
        self._close()

    # What a subclass adds.

    def unended(self) -> None:
        """Counts a stream on which all came that was announced, and no end in time."""
        raise NotImplementedError

    def error_of_reset(self, code: int) -> ProxyError:
        """Returns the error of a stream that the peer has reset."""
        raise NotImplementedError

    def error_of_fault(self, why: str) -> ProxyError:
        """Returns the error of a stream, or of all, that the peer's violation of HTTP/2 ended."""
        raise NotImplementedError

    def error_of_loss(self, why: str) -> ProxyError:
        """Returns the error of a stream that ends with its connection."""
        raise NotImplementedError

    def due(self) -> float:
        """Returns the monotonic second at which `check` has to be called next."""
        write_timeout = self.limits.write_timeout
        waits = [outbound.since + write_timeout for outbound in self.stalled]
        return min(
            self._acknowledged_by,
            self._head_by,
            self.blocked_since + write_timeout,
            *waits,
        )

    def check(self, now: float) -> None:
        """Ends what has taken too long at monotonic second *now*."""
        if now - self.blocked_since >= self.limits.write_timeout:
            self.stream.reset()
            self.lost("write_timeout")
        elif now >= self._acknowledged_by and not self.engine.is_acknowledged:
            self._break_off(ErrorCode.SETTINGS_TIMEOUT, "SETTINGS were not acknowledged in time")
        elif now >= self._head_by:
            self._break_off(ErrorCode.ENHANCE_YOUR_CALM, "a head did not arrive in time")
        else:
            if now >= self._acknowledged_by:
                self._acknowledged_by = inf
            since = now - self.limits.write_timeout
            for outbound in [each for each in self.stalled if each.is_stalled(since)]:
                outbound.stalled()

    def broken_off(self, code: int, why: str) -> None:
        """Ends the session for a fault of the peer, which GOAWAY with *code* tells it."""
        del code
        self.finish(self.error_of_fault(why))

    # What the engine calls: see `h2.events`.

    def window_opened(self, outbound: Outbound | None = None) -> None:
        """Lets what waits for a window go on, after this read; of streams' windows, *outbound*."""
        if outbound is not None:
            self._ring[outbound] = None
        if self._ring:
            self._must_drain = True

    def stream_windows_opened(self) -> None:
        """Lets blocked bodies go on, each of which may look at its window again."""
        for outbound in self.stalled:
            outbound.window_opened()

    def pong_received(self, payload: bytes) -> None:
        """Does nothing; a subclass that sends PINGs overrides this."""

    def goaway_received(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Ends the session with its last stream."""
        del last_stream_id, code, debug
        self.go_away()

    # Ends.

    def _sent(self) -> None:
        if not self.engine.streams:
            self.idle_since = monotonic()
            if self.is_ending and not self._is_finishing:
                self.finish(None)

    def finish(self, error: ProxyError | None) -> None:
        """Closes once the peer has read what is still to be sent, or will not.

        Streams that are still open end with *error*.
        """
        self._is_finishing = True
        self.send_queued()
        if self.is_closed:
            return
        self._end_streams("the connection ends", error)
        if self.is_blocked:
            self._close()
        else:
            wheel.forget(self)
            Linger(self.stream, self._close)

    def _break_off(self, code: ErrorCode, why: str) -> None:
        self.engine.go_away(code, why.encode())
        self.broken_off(code, why)

    def _end_streams(self, why: str, error: ProxyError | None = None) -> None:
        self.is_closed = True
        error = error or self.error_of_loss(why)
        streams: list[Any] = list(self.engine.streams.values())
        for stream in streams:
            stream.lost(ErrorCode.CANCEL, error)

    def _close(self) -> None:
        wheel.forget(self)
        self.deadline = inf
        self.stream.close()
        on_closed, self.on_closed = self.on_closed, None
        if on_closed is not None:
            on_closed()

    # Time limits, which the wheel watches.

    def watch(self, at: float) -> None:
        """Has the write timeout looked at, as `SessionWriter.watch` says."""
        self.watch_until(at + self.limits.write_timeout)

    def watch_until(self, due: float) -> None:
        """Has `check` called at monotonic second *due*, or before."""
        if due < self.deadline:
            self.deadline = due
            if due < self.filed_until:
                wheel.file(self)

    def expire(self) -> None:
        """Looks at all time limits, called by the wheel."""
        self.deadline = inf
        self.check(monotonic())
        if not self.is_closed:
            self.watch_until(self.due())
