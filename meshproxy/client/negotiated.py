"""Connections whose protocol the endpoint chooses in the TLS handshake: `protocol: auto`.

The choice (ALPN, RFC 7301) is remembered for the address until a later handshake ends otherwise. An
endpoint that chooses HTTP/2 and then resets a stream with HTTP_1_1_REQUIRED, or ends the connection
with it, is asked by HTTP/1.1 from then on (RFC 9113 section 7). In plain text nothing is chosen,
and HTTP/1.1 is spoken.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from meshproxy.client.connector import H2, HTTP, Connection, OtherProtocol
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.transport import ConnectionCounts, ConnectStats, Transport
from meshproxy.errors import NoResponse
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import StreamReset
from meshproxy.http.message import Request, Response
from meshproxy.naming.addr import Address

_OFFERED = H2, HTTP


class NegotiatedConnections:
    """The connections to one address, of the protocol that it has chosen."""

    def __init__(self, address: Address, transport: Transport, stats: ConnectStats) -> None:
        tls = transport.tls
        if tls is not None:
            transport = replace(transport, tls=replace(tls, alpn=_OFFERED))
        self._address, self._transport, self._stats = address, transport, stats
        self._pool = EndpointPool(address, transport, stats, self._take_h2)
        self._sessions = EndpointSessions(address, transport, stats, self._take_http)
        self.exchange: Callable[[Request, float], Response] = (
            self._pool.exchange if tls is None else self._exchange_h2
        )
        """Sends a request by the protocol that was chosen, or lets the endpoint choose."""

    def tunnel(self, request: Request, deadline: float) -> Response:
        """Connects in plain text for a CONNECT; see `EndpointPool.tunnel`."""
        return self._pool.tunnel(request, deadline)

    def open_session(self, deadline: float) -> None:
        """Makes a new connection and keeps it, to test if one can be made; see `EndpointPool`."""
        is_h2 = self.exchange == self._exchange_h2
        with suppress(OtherProtocol):
            (self._sessions if is_h2 else self._pool).open_session(deadline)

    @property
    def is_current(self) -> bool:
        """False if files of its TLS have changed since it was made."""
        return self._pool.is_current

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return self._sessions.idle + self._pool.idle

    @property
    def connection_counts(self) -> ConnectionCounts:
        """How many there are, of both protocols."""
        pool, sessions = self._pool.connection_counts, self._sessions.connection_counts
        is_h2 = sessions.streams or self.exchange == self._exchange_h2
        return ConnectionCounts(
            pool.open + sessions.open,
            pool.idle + sessions.idle,
            sessions.streams if is_h2 else None,
        )

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        return self._sessions.close_idle() + self._pool.close_idle()

    def close(self) -> None:
        """Closes idle connections now, the others after their last exchange."""
        self._sessions.close()
        self._pool.close()

    def _exchange_h2(self, request: Request, deadline: float) -> Response:
        try:
            return self._sessions.exchange(request, deadline)
        except OtherProtocol:
            pass
        except (StreamReset, NoResponse) as failure:
            code = failure.code if isinstance(failure, StreamReset) else None
            is_required = code == ErrorCode.HTTP_1_1_REQUIRED
            if is_required or self._sessions.requires_http:
                self._insist_on_http()
            if not is_required or (request.body is not None and not request.body.is_replayable):
                raise
        return self._pool.exchange(request, deadline)

    def _insist_on_http(self) -> None:
        """Offers HTTP/1.1 alone from now on."""
        if self.exchange == self._exchange_h2 and self._transport.tls is not None:
            tls = replace(self._transport.tls, alpn=(HTTP,))
            offered_both = self._pool
            transport = replace(self._transport, tls=tls)
            self._pool = EndpointPool(self._address, transport, self._stats)
            self.exchange = self._pool.exchange
            offered_both.close()
            self._sessions.close()

    def _exchange_http(self, request: Request, deadline: float) -> Response:
        try:
            return self._pool.exchange(request, deadline)
        except OtherProtocol:
            return self._exchange_h2(request, deadline)

    def _take_h2(self, connection: Connection) -> None:
        self.exchange = self._exchange_h2
        self._sessions.adopt(connection)

    def _take_http(self, connection: Connection) -> None:
        self.exchange = self._exchange_http
        self._pool.adopt(connection)
