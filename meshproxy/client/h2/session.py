"""One HTTP/2 connection to an endpoint, shared by many requests (RFC 9113)."""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from meshproxy.client.h2.exchange import H2Exchange
from meshproxy.client.transport import ExpiryStats, Transport
from meshproxy.errors import BadResponse, ConnectionClosed, ProxyError
from meshproxy.h2.client import H2Client
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reset import GoneAway, StreamRefused, StreamReset
from meshproxy.http.message import Request, Response
from meshproxy.net.h2.session import H2Session
from meshproxy.net.stream import Stream

_PING = b"\0meshprx"
_PACE_SECONDS = 0.5
"""Seconds between attempts to send delayed resets while there is no other traffic."""


@own_methods
class ClientSession(H2Session):
    """Sends requests on *stream*; *changed* is called in the hub when there may be room again.

    A session without a stream ends after *idle_seconds*. The client's own `check` sends PINGs to an
    endpoint that is silent while streams are open.
    """

    engine: H2Client

    def __init__(
        self,
        stream: Stream,
        transport: Transport,
        idle_seconds: float,
        expiry: ExpiryStats,
        changed: Callable[[], object],
    ) -> None:
        super().__init__(stream, transport.limits)
        now = monotonic()
        self.engine = H2Client(self, transport.h2, now)
        self.scheme = b"http" if stream.is_plain else b"https"
        """The `:scheme` of requests."""
        self.has_served = False
        """True once a response has begun."""
        self.is_retired = False
        """True if it takes no more requests, and ends with its last stream."""
        self.requires_http = False
        """True if the endpoint has ended it because it wants HTTP/1.1 (RFC 9113 section 7)."""
        self.promised = 0
        """Streams promised to requests that wait."""
        self._idle_seconds = idle_seconds
        self._expiry = expiry
        self._changed = changed
        self._pings = transport.pings
        self._heard = now
        self._pong_by = inf
        self._dies_at = now + transport.session.life_seconds

    def has_room(self) -> bool:
        """Returns True if the endpoint takes another stream that is not promised yet."""
        engine = self.engine
        if self.is_retired or self.is_closed:
            return False
        return len(engine.streams) + self.promised < engine.most_streams

    @property
    def is_over(self) -> bool:
        """True if it will never have room again."""
        return self.is_retired or self.is_closed or self.engine.is_exhausted

    @property
    def is_idle(self) -> bool:
        """True if no stream is open."""
        return not self.engine.open_streams

    def exchange(self, request: Request, deadline: float) -> Response:
        """Sends *request* by monotonic second *deadline*; there must be room. See `H2Exchange`."""
        engine = self.engine
        if not engine.streams:
            self._heard = monotonic()
            self.watch_until(self._heard + self._pings.after_seconds)
        if engine.late_resets:
            engine.send_late_resets(monotonic())
        return H2Exchange(self, request, deadline).run()

    def unended(self) -> None:
        """Counts a response that came without its end."""
        self._expiry.unended.value += 1

    def error_of_reset(self, code: int) -> ProxyError:
        """Returns the error of a request whose stream the endpoint has reset."""
        if code == ErrorCode.REFUSED_STREAM:
            if self.engine.is_exhausted:
                return GoneAway("the endpoint closes the connection and has not seen the request")
            return StreamRefused("the endpoint refused the stream: REFUSED_STREAM")
        known = code in ErrorCode.__members__.values()
        name = ErrorCode(code).name if known else str(code)
        return StreamReset(f"the endpoint reset the stream: {name}", code)

    def error_of_fault(self, why: str) -> ProxyError:
        """Returns the error of a request whose endpoint broke the rules."""
        return BadResponse(f"the endpoint violated HTTP/2: {why}")

    def error_of_loss(self, why: str) -> ProxyError:
        """Returns the error of a request whose connection ended."""
        return ConnectionClosed(why)

    def _sent(self) -> None:
        super()._sent()
        self._look()

    def _feed(self, data: bytes) -> None:
        self._heard = monotonic()
        if self._pong_by < inf:
            self._pong_by = inf
            self.watch_until(self.due())
        super()._feed(data)
        self._look()

    def _look(self) -> None:
        """Ends a retired session after its last stream; else there may be room again."""
        if self.engine.late_resets:
            self.watch_until(monotonic() + _PACE_SECONDS)
        if self.is_retired and self.is_idle:
            self.go_away()
        else:
            self._changed()

    # Ends.

    def retire(self) -> None:
        """Takes no more requests and ends with the last stream.

        GOAWAY is sent then, since not every server goes on with open streams after it.
        """
        self.is_retired = True
        if self.is_idle:
            self.go_away()

    def goaway_received(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """Retires the session; streams that the endpoint has not seen have ended before."""
        del last_stream_id, debug
        if code != ErrorCode.NO_ERROR:
            self._expiry.gone_away("remote", code)
        self.requires_http = code == ErrorCode.HTTP_1_1_REQUIRED
        self.retire()

    def broken_off(self, code: int, why: str) -> None:
        """Counts the fault of the endpoint that ends the session."""
        self._expiry.gone_away("local", code)
        super().broken_off(code, why)

    def _exchanges(self) -> list[H2Exchange]:
        streams: list[Any] = list(self.engine.streams.values())
        return streams

    def due(self) -> float:
        """Adds idle time, life time, PINGs and waits for responses to the limits of any session."""
        if self.is_idle:
            return min(super().due(), self._dies_at, self.idle_since + self._idle_seconds)
        is_asked = self._pong_by < inf
        answer = self._pong_by if is_asked else self._heard + self._pings.after_seconds
        waits = [exchange.due for exchange in self._exchanges()]
        return min(super().due(), self._dies_at, answer, *waits)

    def check(self, now: float) -> None:
        """Ends what has taken too long at monotonic second *now*, and sends a PING if it is due."""
        super().check(now)
        for exchange in [one for one in self._exchanges() if one.due <= now]:
            exchange.expire()
        if self.is_closed:
            return
        if self.engine.late_resets:
            self.engine.send_late_resets(now)
            self.touch()
        if now >= self._pong_by:
            self._expiry.unanswered.value += 1
            self.stream.reset()
            self.lost("keepalive")
        elif now >= self._dies_at:
            self._dies_at = inf
            self._expiry.lifetime.value += not self.is_retired
            self.retire()
        elif self.is_idle:
            if now - self.idle_since >= self._idle_seconds and not self.is_retired:
                self._expiry.idle.value += 1
                self.retire()
        elif now - self._heard >= self._pings.after_seconds and self._pong_by == inf:
            self._pong_by = now + self._pings.answer_seconds
            self.engine.ping(_PING)
            self.touch()
