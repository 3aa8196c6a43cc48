"""Opens connections to an endpoint, TCP or TLS, within a limit of time."""

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

import gevent
from urllib3.exceptions import HTTPError

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.failures import no_connection
from meshproxy.client.sockets import connected
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import (
    ConnectFailed,
    ConnectionClosed,
    ProxyError,
    TimedOutConnecting,
    TlsFailed,
)
from meshproxy.http.ending import Ending
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.naming.addr import Address
from meshproxy.net.stream import Stream
from meshproxy.net.traffic import traffic
from meshproxy.net.tunnel import Tunnel

Connection = PlainConnection | TlsConnection

HTTP = "http/1.1"
"""The protocol if an endpoint chooses none."""
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
    """Opens connections to *address* as *transport* says, and counts them in *stats*.

    *protocol* is what is spoken on them, by its name in ALPN; a connection over which the endpoint
    has chosen another one is given to *other*, or closed.
    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        stats: ConnectStats,
        protocol: str,
        other: Callable[[Connection], object] | None = None,
    ) -> None:
        self._address = address
        self._transport = transport
        self._stats = stats
        self._protocol = protocol
        self._other = other
        self._latest: Connection | None = None
        """The connection opened last, whose TLS session the next one resumes."""
        self.opened = 0
        """Connections that are open now."""

    def open(self, connection: Connection, deadline: float, via: Sequence[bytes] = ()) -> Stream:
        """Opens *connection* by monotonic second *deadline*; *via* is told to a parent proxy.

        Raises ConnectFailed, TlsFailed, OtherProtocol, NoDescriptor, TimedOutConnecting,
        ParentRefused or LoopDetected.
        """
        started = monotonic()
        transport = self._transport
        connection.open_socket = partial(connected, self._address, transport, via)
        tries = transport.proxy.tries if transport.proxy is not None else 1
        limit = min(transport.connect_seconds * tries, transport.limits.attempt)
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
                raise no_connection(error, transport.server_name) from error
            if deadline - started < limit - _BEHIND_SECONDS:
                self._stats.cancelled.value += 1
                raise TimedOutConnecting("timed out waiting for a connection") from None
            raise ConnectFailed(f"no connection within {limit:g} s") from None
        except ProxyError:
            connection.close()
            raise
        except BaseException:
            connection.close()
            self._stats.cancelled.value += 1
            raise
        stream = opened(connection)
        self.opened += 1
        connection.on_close = self._closed
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

    def tunnel(self, request: Request, deadline: float, end: Callable[[], object]) -> Response:
        """Connects in plain text for *request*, a CONNECT; the response has the tunnel.

        *end* is called once it is closed. Raises what `open` does, but for TlsFailed.
        """
        connection = PlainConnection(self._address.host, self._address.port)
        stream = self.open(connection, deadline, request.headers.get_all(b"via"))

        def close() -> None:
            connection.close()
            end()

        response = Response(200, b"Connection Established", Headers())
        response.body, response.ending = tunnel(stream, b"", close)
        return response

    def _closed(self) -> None:
        self.opened -= 1
        self._stats.closed()


def _close(connection: Connection) -> None:
    connection.close()
