"""A client's HTTP/2 connection: each stream is a request, served in a greenlet of its own."""

import contextlib
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any, Protocol

from meshproxy.errors import ProxyError
from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.fields import RequestHead
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reset import ClientReset
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.peer import Certificate
from meshproxy.net.h2.memory import memory
from meshproxy.net.h2.session import H2Session
from meshproxy.net.stream import Stream
from meshproxy.server.h2 import workers
from meshproxy.server.h2.call import Call
from meshproxy.server.h2.stats import H2ServerStats
from meshproxy.server.h2.tunnel import TunnelCall
from meshproxy.server.protocol import Answer
from meshproxy.server.tls import peer_certificate
from meshproxy.service import Service

_MOST_CALLS = 100
"""Requests begun in one turn of the loop; then other connections are served."""
_AT_ONCE = 1e-9
_HTTP_1 = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nl5d-err: http_version"
    b"\r\nContent-Length: 38\r\nConnection: close\r\n\r\nHTTP/2 is spoken here, not HTTP/1.1.\r\n"
)
_LAST_CALL = b"farewell"
_LAST_CALL_SECONDS = 1.0
"""Seconds for requests that were sent before the client has received GOAWAY."""


class Terms(Protocol):
    """What a session serves with; a reload replaces it. `Http2` is the implementation."""

    @property
    def service(self) -> Service[Request, Response]:
        """Serves each request."""
        ...

    @property
    def answer(self) -> Answer:
        """Makes the response to a head that never becomes a request."""
        ...

    @property
    def limits(self) -> Limits:
        """Sizes and times."""
        ...

    @property
    def settings(self) -> LocalSettings:
        """The SETTINGS that the client is sent first."""
        ...

    @property
    def stats(self) -> H2ServerStats:
        """Where connections and streams are counted."""
        ...


@own_methods
class ServerSession(H2Session):
    """Serves one accepted connection until either side ends it: a `Conversation`."""

    __slots__ = (
        "_certificate", "_dies_at", "_last_call_by", "_next_turn",
        "_received", "is_draining", "local", "on_end", "remote", "scheme", "stats",
        "terms",
    )  # fmt: skip

    engine: H2Server

    def __init__(
        self, stream: Stream, terms: Terms, remote: str, local: str, received: bytes = b""
    ) -> None:
        super().__init__(stream, terms.limits)
        self.engine = H2Server(self, terms.settings, monotonic())
        self.terms = terms
        self.stats = terms.stats
        self.remote = remote
        self.local = local
        self.scheme = b"http" if stream.is_plain else b"https"
        """The usual `:scheme` here, which says nothing about a request."""
        self.is_draining = False
        """True if the client is to be told to go; `end_idle` does that."""
        self._received = received
        self._next_turn: Any = None
        self.on_end: Callable[[], object] | None = None
        """Called once after the end."""
        self._dies_at = monotonic() + self.limits.life_seconds
        self._last_call_by = inf
        self._certificate: Certificate | None = None

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the client presented in TLS, read on first use."""
        if self._certificate is None:
            self._certificate = peer_certificate(self.stream)
        return self._certificate

    def run(self) -> "ServerSession":
        """Begins to serve, and returns itself, as no greenlet is needed for that."""
        self.stats.open.value += 1
        self.on_closed = self._closed
        self.start(self._received, greets=not self.stream.is_plain)
        self._received = b""
        if self.is_draining:
            self._loop.run_callback(self.end_idle)
        return self

    def cut(self) -> None:
        """Closes the connection at once."""
        self.lost("")

    def adopt(self, terms: Terms) -> None:
        """Serves by *terms* from the next request on."""
        self.terms = terms
        self.stats = terms.stats
        self.limits = terms.limits
        self.watch_until(self.due())

    def end_idle(self) -> bool:
        """Closes the connection unless a stream is open; must be called in the hub.

        One that is draining tells its client, and ends with its last stream.
        """
        if self.is_draining:
            self._call_last_orders()
            return False
        if self.engine.open_streams or self.is_closed:
            return False
        self.go_away()
        return True

    def release(self, call: Call) -> None:
        """Records that *call* has ended and its greenlet is free."""
        self.stats.streams.value -= 1
        self.engine.release(call)

    # What the engine calls besides.

    def request_received(self, stream_id: int, head: RequestHead | None, ends: bool) -> Call:
        """Returns a request, which is served after this read; refused if it has no *head*."""
        del stream_id
        if head is not None and head.method == b"CONNECT":
            call: Call = TunnelCall(self, head, ends)
        else:
            call = Call(self, head)
        self.stats.streams.value += 1
        self._arrivals.append(call)
        return call

    def stream_refused(self) -> None:
        """Counts it."""
        self.stats.refused.value += 1

    def large_heads(self, size: int) -> None:
        """Adds the bytes of large heads to what waits in this process."""
        if not self.is_closed:
            memory.note(self, self, size)

    def give_up(self, error: ProxyError) -> None:
        """Ends the requests with large heads, as too much waits in this process."""
        calls: list[Any] = list(self.engine.streams.values())
        for call in calls:
            if call.head_bytes:
                call.reset(ErrorCode.ENHANCE_YOUR_CALM, error)

    def pong_received(self, payload: bytes) -> None:
        """Notes that the client has received the GOAWAY before this PING."""
        if payload == _LAST_CALL and self._last_call_by < inf:
            self._last_call_by = inf
            self.go_away()

    def unended(self) -> None:
        """Counts a request that came without its end."""
        self.stats.unended.value += 1

    def error_of_reset(self, code: int) -> ProxyError:
        """Returns the error of a request whose client has reset the stream."""
        return ClientReset("the client reset the stream", code)

    def error_of_fault(self, why: str) -> ProxyError:
        """Returns the error of a request whose client has violated HTTP/2."""
        return ClientReset(f"the client violated HTTP/2: {why}")

    def error_of_loss(self, why: str) -> ProxyError:
        """Returns the error of a request whose client has left."""
        return ClientReset(why)

    # Serving.

    def _serve_arrivals(self) -> None:
        """Begins to serve what has arrived, unless the client does not read its responses."""
        if self._next_turn is not None and self._next_turn.active:
            return  # others come first
        arrivals, left = self._arrivals, _MOST_CALLS
        while arrivals and left:
            if self._backlog is not None:
                return
            left -= 1
            call = arrivals.popleft()
            if call.failure is None:
                workers.run(call.run)
            else:
                self.release(call)
        if arrivals:
            if self._next_turn is None:
                self._next_turn = self._loop.timer(_AT_ONCE)
            self._next_turn.start(self._serve_arrivals)

    def unblocked(self) -> None:
        """Serves what has waited for the client to read."""
        self._serve_arrivals()

    # Ends.

    def due(self) -> float:
        """Adds idle and life time, and the wait for the last requests, to those of any session."""
        now = monotonic()
        idle_since = now if self.engine.open_streams else self.idle_since
        return min(
            super().due(), self._last_call_by, self._dies_at, idle_since + self.limits.idle_seconds
        )

    def check(self, now: float) -> None:
        """Ends what has taken too long at monotonic second *now*."""
        super().check(now)
        if self.is_closed or self.is_ending:
            return
        if now >= self._last_call_by:
            self._last_call_by = inf
            self.go_away()
        if now >= self._dies_at:
            self._dies_at = inf
            self.ending = "lifetime"
            self._call_last_orders()
        elif not self.engine.open_streams and now - self.idle_since >= self.limits.idle_seconds:
            self.ending = "idle"
            self.go_away()

    def lost(self, ending: str) -> None:
        """Ends the session at once; requests that were in progress make that an abort."""
        if not self.is_closed and self.engine.open_streams:
            ending = ending or "client_aborts"
        super().lost(ending)

    def broken_off(self, code: int, why: str) -> None:
        """Counts the error that ends the session; a client of HTTP/1 gets a response of HTTP/1."""
        self.stats.gone_away(code)
        if self.engine.reader.preface:
            self.engine.take()
            with contextlib.suppress(OSError):
                self.stream.send_some(_HTTP_1)
        super().broken_off(code, why)

    def _call_last_orders(self) -> None:
        """Sends the first GOAWAY; requests are served until the client has received it."""
        if self._last_call_by == inf and not self.is_ending and not self.is_closed:
            self.engine.go_away(last_stream_id=frames.MAX_STREAM_ID)
            self.engine.ping(_LAST_CALL)
            self.touch()
            self._last_call_by = monotonic() + _LAST_CALL_SECONDS
            self.watch_until(self._last_call_by)

    def _closed(self) -> None:
        self.stats.open.value -= 1
        memory.note(self, self, 0)
        if self._next_turn is not None:
            self._next_turn.stop()
            self._next_turn.close()
        while self._arrivals:
            self.release(self._arrivals.popleft())
        if self.on_end is not None:
            self.on_end()
