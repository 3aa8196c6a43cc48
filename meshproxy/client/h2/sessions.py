"""The HTTP/2 sessions of an endpoint: usually one, more while it is full (RFC 9113 section 9.1)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Final

import gevent

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.connector import H2, Connection, Connector, opened
from meshproxy.client.h2.session import ClientSession
from meshproxy.client.h2.stream_queue import StreamQueue
from meshproxy.client.tls import context
from meshproxy.client.transport import ConnectionCounts, ConnectStats, Transport
from meshproxy.errors import NoResponse, ProxyError, WriteFailed
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import GoneAway, StreamRefused
from meshproxy.http.message import IDEMPOTENT, Request, Response
from meshproxy.http.phases import CONNECT, QUEUE, spend
from meshproxy.naming.addr import Address
from meshproxy.net.descriptors import spares
from meshproxy.net.stream import Stream

MAX_SESSIONS: Final = 16
"""Sessions to an endpoint if hostConnectionPool.maxSize does not say how many."""
MAX_ENDING: Final = 1000
"""Sessions besides that only wait for their last streams, if maxSize does not say it.

Streams may last for days, while an endpoint ends connections after minutes (MAX_CONNECTION_AGE).
"""
_SPARE_SECONDS: Final = 60.0
"""Life of a session beyond the first without a stream."""


class EndpointSessions:
    """The connections to one address. The hot path calls only `exchange`.

    A request goes to the first session that has room, so that later ones become idle. Requests that
    find none share the next connection that is made, and wait for it in a queue.
    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        stats: ConnectStats,
        other: Callable[[Connection], object] | None = None,
    ) -> None:
        """Sets where connections lead; *other* is that of `Connector`."""
        tls = transport.tls
        if tls is not None and H2 not in tls.alpn:
            transport = replace(transport, tls=replace(tls, alpn=(H2,)))
        self._address = address
        self._transport = transport
        self._stats = stats
        self._tls = context(transport.tls) if transport.tls is not None else None
        self._made_with = self._tls.value if self._tls is not None else None
        self._connector = Connector(address, transport, stats, H2, other)
        self._sessions: list[ClientSession] = []
        self._most = transport.max_size or MAX_SESSIONS
        self._most_in_all = self._most + (MAX_SESSIONS if transport.max_size else MAX_ENDING)
        self._queue = StreamQueue(
            self._sessions, self._connect_if_needed, transport.max_waiters, stats.waits
        )
        self._is_connecting = False
        self._is_closed = False
        self.requires_http = False
        """True if a request has ended with a session that ended with HTTP_1_1_REQUIRED."""
        self.exchange: Callable[[Request, float], Response] = self._exchange
        """Sends a request on a stream, by a deadline; see `H2Exchange`.

        A request that the endpoint has not seen, as the connection ended, is sent again on another
        one, once; so is one whose method is idempotent. Instead, StreamRefused is raised with
        HTTP_1_1_REQUIRED if that is why. Also raises ConnectFailed, TlsFailed, WriteFailed and
        PoolFull.
        """
        spares.add(self)

    def _exchange(self, request: Request, deadline: float) -> Response:
        session = self._session(request, deadline)
        has_served = session.has_served
        try:
            return session.exchange(request, deadline)
        except (NoResponse, GoneAway) as failure:
            self.requires_http |= session.requires_http
            body = request.body
            if body is not None and not body.is_replayable:
                raise
            if isinstance(failure, NoResponse) and not (
                failure.nothing_sent or request.method in IDEMPOTENT
            ):
                raise
            if session.requires_http:
                raise _unwelcome() from failure
            if isinstance(failure, NoResponse) and not has_served:
                raise _unwritten(failure) from failure
            self._stats.stale.value += 1
        try:
            return self._session(request, deadline).exchange(request, deadline)
        except NoResponse as failure:
            raise _unwritten(failure) from failure

    def tunnel(self, request: Request, deadline: float) -> Response:
        """Connects in plain text for a CONNECT; see `Connector.tunnel`."""
        return self._connector.tunnel(request, deadline, _nothing)

    def open_session(self, deadline: float) -> None:
        """Makes a new connection and keeps it, to test if one can be made.

        Raises ConnectFailed, TlsFailed and TimedOutConnecting.
        """
        self._open(deadline)
        self._settle()

    def adopt(self, connection: Connection) -> None:
        """Takes over *connection*, which is open and speaks HTTP/2."""
        self._begin(connection, opened(connection))
        self._settle()

    @property
    def is_current(self) -> bool:
        """False if files of its TLS have changed since it was made."""
        return self._tls is None or self._tls.value is self._made_with

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return sum(session.is_idle and not session.is_over for session in self._sessions)

    @property
    def connection_counts(self) -> ConnectionCounts:
        """How many there are."""
        streams = sum(session.engine.open_streams for session in self._sessions)
        return ConnectionCounts(self._connector.opened, self.idle, streams)

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        idle = [one for one in self._sessions if one.is_idle and not one.is_over]
        for session in idle:
            session.retire()
        return len(idle)

    def let_go(self, most: int) -> int:
        """Closes up to *most* idle connections at once; returns their number."""
        idle = [one for one in self._sessions if one.is_idle][:most]
        for session in idle:
            session.lost("idle")
        return len(idle)

    def close(self) -> None:
        """Closes idle connections now, the others after their last exchange."""
        self._is_closed = True
        self._settle()

    def _session(self, request: Request, deadline: float) -> ClientSession:
        """Returns a session with room, waiting until monotonic second *deadline* for it."""
        if not self._queue.turns:
            for session in self._sessions:
                if session.has_room():
                    return session
        is_full = self._live >= self._most and not self._is_connecting
        began = monotonic()
        latest = min(deadline, began + self._transport.limits.first_byte)
        try:
            return self._queue.wait(latest, is_full=is_full)
        finally:
            spend(request, QUEUE if is_full else CONNECT, monotonic() - began)

    def _settle(self) -> None:
        """Gives room to requests that wait; after `close`, retires sessions that are not needed."""
        if self._queue.turns:
            self._queue.admit()
        if self._is_closed and not self._queue.turns:
            for session in self._sessions[:]:
                if not session.promised and not session.is_over:
                    session.retire()

    @property
    def _live(self) -> int:
        """Sessions that will have room again; the others end with their last stream."""
        return sum(not session.is_over for session in self._sessions)

    def _connect_if_needed(self) -> None:
        if (
            self._queue.turns
            and not self._is_connecting
            and self._live < self._most
            and len(self._sessions) < self._most_in_all
        ):
            self._is_connecting = True
            gevent.spawn(self._connect)

    def _connect(self) -> None:
        """Makes a connection for requests that wait; they fail with it if no other is live."""
        try:
            self._open(monotonic() + self._transport.limits.first_byte)
        except ProxyError as error:
            self._is_connecting = False
            if not self._live:
                self._queue.fail(error)
        else:
            self._is_connecting = False
            self._settle()
            self._connect_if_needed()

    def _open(self, deadline: float) -> None:
        address, transport = self._address, self._transport
        connection: Connection
        if transport.tls is None:
            connection = PlainConnection(address.host, address.port)
        else:
            name = transport.server_name and transport.server_name.rstrip(".")
            connection = TlsConnection(
                address.host,
                address.port,
                ssl_context=self._made_with,
                server_hostname=name,
                assert_hostname=name if transport.tls.verify else False,
            )
        stream = self._connector.open(connection, deadline)
        self._begin(connection, stream)

    def _begin(self, connection: Connection, stream: Stream) -> None:
        life = self._transport.session
        idle_seconds = life.idle_seconds
        if len(self._sessions) >= life.keep:
            idle_seconds = min(idle_seconds, life.spare_seconds)
        if self._sessions:
            idle_seconds = min(idle_seconds, _SPARE_SECONDS)
        session = ClientSession(
            stream, self._transport, idle_seconds, self._stats.expiry, self._settle
        )
        session.on_closed = partial(self._ended, session, connection)
        self._sessions.append(session)
        session.start()

    def _ended(self, session: ClientSession, connection: Connection) -> None:
        """Forgets a session whose socket is closed; called in the hub."""
        self._sessions.remove(session)
        connection.close()
        self._connect_if_needed()


def _nothing() -> None:
    """Ends nothing."""


def _unwelcome() -> StreamRefused:
    why = "the endpoint ended the connection: HTTP_1_1_REQUIRED"
    return StreamRefused(why, ErrorCode.HTTP_1_1_REQUIRED)


def _unwritten(failure: NoResponse) -> ProxyError:
    """Returns *failure*, as WriteFailed if nothing was sent."""
    return WriteFailed(str(failure)) if failure.nothing_sent else failure
