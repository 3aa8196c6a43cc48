"""The urllib3 pool of an endpoint: connects, verifies, keeps alive, and replaces stale connections.

The pool is urllib3's, and makes and closes the connections; its queue is ours and is used without
its `_get_conn` and `_put_conn`, which cost instructions on every request (docs/performance.md). The
supported versions of urllib3 are pinned in setup.py, and both ends of the range are tested.
"""

from collections.abc import Callable, Sequence
from functools import partial
from ssl import SSLContext
from time import monotonic

import gevent
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.connection_limiter import ConnectionLimiter
from meshproxy.client.connector import HTTP, Connection, Connector, opened
from meshproxy.client.h1.exchange import Exchange
from meshproxy.client.h1.idle import IdleStack
from meshproxy.client.tls import context
from meshproxy.client.transport import ConnectionCounts, ConnectStats, Transport
from meshproxy.errors import NoResponse, WriteFailed
from meshproxy.http.message import IDEMPOTENT, Request, Response
from meshproxy.http.phases import CONNECT, QUEUE, TLS, spend
from meshproxy.naming.addr import Address


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection
    QueueCls = IdleStack  # type: ignore[assignment] # the queue without its locks


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection
    QueueCls = IdleStack  # type: ignore[assignment] # the queue without its locks


class EndpointPool:
    """The connections to one address. The hot path calls only `exchange`."""

    def __init__(
        self,
        address: Address,
        transport: Transport,
        stats: ConnectStats,
        other: Callable[[Connection], object] | None = None,
    ) -> None:
        """Sets where connections lead; *other* is that of `Connector`."""
        self._address = address
        self._transport = transport
        self._stats = stats
        self._is_closed = False
        self._tls = context(transport.tls) if transport.tls is not None else None
        self._made_with = self._tls.value if self._tls is not None else None
        pool = _new_pool(address, transport, self._made_with)
        self._idle: IdleStack = pool.pool  # type: ignore[assignment] # what QueueCls made
        if transport.session.is_limited:
            self._idle.session = transport.session
            self._idle.stats = stats.expiry
        self._limiter = (
            ConnectionLimiter(transport.max_size, transport.max_waiters, stats.waits)
            if transport.max_size is not None
            else None
        )
        self.exchange: Callable[[Request, float], Response] = (
            self._exchange if self._limiter is None else partial(self._queue, self._limiter)
        )
        """Sends a request on a pooled or new connection, by a deadline; see `Exchange`.

        A kept-alive connection that closes before the first byte of a response is replaced by a new
        one, once, if nothing was sent, or if the method is idempotent and the body is still held.
        Also raises ConnectFailed, TlsFailed, WriteFailed and PoolFull.
        """
        self._drop_soon = partial(gevent.get_hub().loop.run_callback, self._idle.drop_if_stray)
        self._close_pool = pool.close
        self._connector = Connector(address, transport, stats, HTTP, other)
        self._new: Callable[[], Connection] = pool._new_conn  # type: ignore[assignment] # noqa: SLF001 - see above

    def _queue(self, limiter: ConnectionLimiter, request: Request, deadline: float) -> Response:
        began = monotonic()
        try:
            limiter.enter(self._wait_until(deadline))
        finally:
            spend(request, QUEUE, monotonic() - began)
        try:
            return self._exchange(request, deadline)
        except BaseException:
            limiter.leave()
            raise

    @property
    def is_current(self) -> bool:
        """False if files of its TLS have changed since it was made."""
        return self._tls is None or self._tls.value is self._made_with

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return self._idle.qsize()

    @property
    def connection_counts(self) -> ConnectionCounts:
        """How many there are."""
        return ConnectionCounts(self._connector.opened, self.idle, None)

    def _exchange(self, request: Request, deadline: float) -> Response:
        connection = self._idle.take() or self._new()
        exchange = connection.exchange
        if exchange is not None:
            try:
                return exchange(request, deadline)
            except NoResponse as failure:
                self._stats.stale.value += 1
                body = request.body
                replayable = body is None or body.is_replayable
                if not replayable or not (failure.nothing_sent or request.method in IDEMPOTENT):
                    raise
        began = monotonic()
        try:
            exchange = self._connect(connection, deadline, request)
        finally:
            _spend_connecting(request, connection, began)
        try:
            return exchange(request, deadline)
        except NoResponse as failure:
            if failure.nothing_sent:
                raise WriteFailed(str(failure)) from failure
            raise

    def tunnel(self, request: Request, deadline: float) -> Response:
        """Connects in plain text, outside the pool, for a CONNECT; the response has the tunnel.

        Raises ConnectFailed, TimedOutConnecting, TimedOutInQueue and PoolFull.
        """
        if self._limiter is not None:
            self._limiter.enter(self._wait_until(deadline))
        try:
            return self._connector.tunnel(request, deadline, self._leave)
        except BaseException:
            self._leave()
            raise

    def close(self) -> None:
        """Closes idle connections now, the others after their exchange."""
        self._is_closed = True
        self._close_pool()

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        return self._idle.drain()

    def open_session(self, deadline: float) -> None:
        """Makes a new connection and keeps it, to test if one can be made.

        Raises ConnectFailed, TlsFailed, TimedOutConnecting, TimedOutInQueue and PoolFull.
        """
        if self._limiter is not None:
            self._limiter.enter(self._wait_until(deadline))
        connection = self._idle.take() or self._new()
        connection.close()  # a kept connection would prove nothing
        try:
            self._connect(connection, deadline)
        except BaseException:
            if self._limiter is not None:
                self._limiter.leave()
            raise
        self._release(connection, reusable=True)

    def adopt(self, connection: Connection) -> None:
        """Keeps *connection*, which is open and speaks HTTP/1.1."""
        self._ready(connection)
        if self._is_closed:
            connection.close()
        else:
            self._idle.put(connection)

    def _release(self, connection: Connection, reusable: bool) -> None:
        if reusable and not self._is_closed:
            self._idle.put(connection)
        else:
            connection.close()
        if self._limiter is not None:
            self._limiter.leave()

    def _leave(self) -> None:
        if self._limiter is not None:
            self._limiter.leave()

    def _wait_until(self, deadline: float) -> float:
        """Returns the end of a wait for a connection, also for an infinite *deadline*."""
        return min(deadline, monotonic() + self._transport.limits.first_byte)

    def _connect(
        self, connection: Connection, deadline: float, request: Request | None = None
    ) -> Callable[[Request, float], Response]:
        """Connects for *request*, and returns what exchanges messages on *connection*."""
        via: Sequence[bytes] = () if request is None else request.headers.get_all(b"via")
        self._connector.open(connection, deadline, via)
        return self._ready(connection)

    def _ready(self, connection: Connection) -> Callable[[Request, float], Response]:
        opened(connection).on_stray = partial(self._drop_soon, connection)
        connection.exchange = exchange = Exchange(
            connection, self._transport.limits, self._release
        ).run
        return exchange


def _spend_connecting(request: Request, connection: Connection, began: float) -> None:
    """Divides the time since *began* into that for TCP and that for TLS."""
    now = monotonic()
    connected = connection.connected_at if connection.connected_at >= began else now
    spend(request, CONNECT, connected - began)
    if isinstance(connection, TlsConnection) and connected < now:
        spend(request, TLS, now - connected)


def _new_pool(
    address: Address, transport: Transport, made_with: SSLContext | None
) -> HTTPConnectionPool:
    settings = transport.tls
    if settings is None:
        return _PlainPool(address.host, address.port)
    name = transport.server_name and transport.server_name.rstrip(".")
    return _TlsPool(
        address.host,
        address.port,
        ssl_context=made_with,
        server_hostname=name,
        assert_hostname=name if settings.verify else False,
    )
