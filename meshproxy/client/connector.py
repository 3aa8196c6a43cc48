"""Opens connections to an endpoint, TCP or TLS, within a limit of time."""

from collections.abc import Callable
from time import monotonic

import gevent
from urllib3.exceptions import HTTPError

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.failures import no_connection
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import ConnectFailed, ConnectionClosed, TimedOutConnecting, TlsFailed
from meshproxy.http.headers import Headers
from meshproxy.http.message import Ending, Response
from meshproxy.naming.addr import Address
from meshproxy.net.stream import Stream
from meshproxy.net.traffic import traffic
from meshproxy.net.tunnel import Tunnel

Connection = PlainConnection | TlsConnection

HTTP = "http/1.1"
"""What is spoken if an endpoint chooses nothing."""
H2 = "h2"

_BEHIND_SECONDS = 0.01
"""A connect that begins this soon after its attempt counts as begun with it."""


class OtherProtocol(TlsFailed):
    """The endpoint has chosen another protocol than the one that is spoken (RFC 7301)."""


def tunnel(stream: Stream, buffered: bytes, end: Callable[[], object]) -> tuple[Tunnel, Ending]:
    """Returns the tunnel that *stream* has become, and its ending; *end* is called then."""
    ending = Ending(is_settled=True)

    def finish() -> None:
        end()
        ending.come(broken=False)

    return Tunnel(stream, buffered, finish), ending


def opened(connection: Connection) -> Stream:
    """Returns the stream of *connection*. Raises ConnectionClosed if there is none."""
    if connection.stream is None:
        raise ConnectionClosed("the connection is not open")
    return connection.stream


class Connector:
    """Opens connections as *transport* says, and counts them in *stats*.

    *protocol* is what is spoken on them, by its name in ALPN; a connection over which the endpoint
    has chosen another one is given to *other*, or closed.
    """

    def __init__(
        self,
        transport: Transport,
        stats: ConnectStats,
        protocol: str,
        other: Callable[[Connection], object] | None = None,
    ) -> None:
        self._transport = transport
        self._stats = stats
        self._protocol = protocol
        self._other = other
        self._latest: Connection | None = None
        """The connection opened last, whose TLS session the next one resumes."""

    def open(self, connection: Connection, deadline: float) -> Stream:
        """Opens *connection* by monotonic second *deadline*.

        Raises ConnectFailed, TlsFailed, OtherProtocol, NoDescriptor or TimedOutConnecting.
        """
        started = monotonic()
        connection.no_delay = self._transport.no_delay
        connection.keep_alive = self._transport.keep_alive
        limit = min(self._transport.connect_seconds, self._transport.limits.attempt)
        if isinstance(self._latest, TlsConnection):
            connection.resumes = self._latest.session
        self._latest = None  # if this fails, the next one does a full handshake
        late = TimeoutError()  # urllib3 and ssl close their sockets on errors of this kind
        try:
            with gevent.Timeout(max(min(limit, deadline - started), 0.001), late):
                connection.connect()
        except (HTTPError, OSError, ValueError) as error:
            connection.close()
            self._stats.failed_ms.add((monotonic() - started) * 1000)
            if late not in (error, error.__cause__):
                raise no_connection(error, self._transport.server_name) from error
            if deadline - started < limit - _BEHIND_SECONDS:
                self._stats.cancelled.value += 1
                raise TimedOutConnecting("timed out waiting for a connection") from None
            raise ConnectFailed(f"no connection within {limit:g} s") from None
        except BaseException:
            connection.close()
            self._stats.cancelled.value += 1
            raise
        stream = opened(connection)
        connection.on_close = self._stats.closed
        traffic.watch(stream, stream.sock, self._stats.received, self._stats.sent)
        connection.opened_at = started
        self._latest = connection
        self._stats.opened(monotonic() - started)
        if isinstance(connection, TlsConnection) and self._protocol != (connection.alpn or HTTP):
            (self._other or _close)(connection)
            raise OtherProtocol(
                f"the endpoint does not speak {self._protocol} in TLS (ALPN): see protocol"
            )
        return stream

    def tunnel(self, address: Address, deadline: float, end: Callable[[], object]) -> Response:
        """Connects to *address* in plain text for a CONNECT; the response has the tunnel.

        *end* is called once it is closed. Raises ConnectFailed and TimedOutConnecting.
        """
        connection = PlainConnection(address.host, address.port)
        stream = self.open(connection, deadline)

        def close() -> None:
            connection.close()
            end()

        response = Response(200, b"Connection Established", Headers())
        response.body, response.ending = tunnel(stream, b"", close)
        return response


def _close(connection: Connection) -> None:
    connection.close()
