"""Listening sockets: a gevent StreamServer hands each accepted connection to a greenlet.

At `max_connections` none is accepted: clients wait in the kernel's backlog until a connection ends,
and idle ones are closed for them. When descriptors run short, idle connections are closed too; if
that is not enough, the client is refused at once.
"""

import contextlib
import logging
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic

import gevent
from gevent.pool import Group

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.watched import Watched
from meshproxy.errors import BadRequest, NoDescriptor
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree
from meshproxy.net.descriptors import CLIENTS, allowed, is_beyond, spares
from meshproxy.net.proxy_protocol import BadHeader
from meshproxy.net.stream import Stream
from meshproxy.net.traffic import traffic
from meshproxy.server.acceptor import Acceptor
from meshproxy.server.lasting import LastingConversations
from meshproxy.server.listening import BACKLOG, shown
from meshproxy.server.opening import Balancers, shake_hands
from meshproxy.server.protocol import Conversation, Lasting, ServerProtocol

_log = logging.getLogger(__name__)
_ROOM_SHARE = 0.1
"""Share of the connections closed at once, if idle, for clients that wait."""
_FIRST_SECONDS = 1.0
"""A younger connection does not count as idle, as its first request may be on its way."""
_BUSY_SECONDS = 0.05
"""Pause after a search that found no idle connection, since it looks at all of them."""
_MOST_REFUSED = 8
"""Connections refused but not closed yet; the oldest is closed for the next one."""
_SAID_SECONDS = 10.0
"""Time between two log lines about refusals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParameters:
    """Parameters of a listener, replaced by a reload."""

    protocol: ServerProtocol
    max_connections: int
    """0 means no limit of its own."""
    metrics: Tree
    context: Watched[ssl.SSLContext] | None = None
    """None means plain text; connections end when it changes."""
    proxy_protocol: Balancers | None = None
    """Load balancers that tell who their clients are."""
    options: SocketOptionsConfig = SocketOptionsConfig()  # noqa: RUF009 - a value
    share: float = CLIENTS
    """Share of all descriptors beyond which connections are refused."""


class Listener:
    """A listening socket and the connections accepted there."""

    def __init__(self, sock: gevent.socket.socket, parameters: ServerParameters) -> None:
        self._parameters = parameters
        self._connections: dict[Conversation, float] = {}
        """The monotonic second at which each was accepted, oldest first."""
        self._is_draining = False
        self._greenlets = Group()
        self._lasting = LastingConversations()
        self._refused: deque[gevent.Greenlet] = deque()
        self._said_at = self._busy_until = -inf
        self._accepted = 0
        self._most = parameters.max_connections or sys.maxsize
        self._server = Acceptor(sock, self._serve, spawn=self._admit)
        self._server.is_full = lambda: self._accepted >= self._most
        self._server.make_room = lambda: gevent.get_hub().loop.run_callback(self._end_some)
        self._server.admits = self._admits
        self.port: int = self._server.address[1]
        self._count()
        self._context = self._present_context()

    def start(self) -> None:
        """Begins to accept."""
        self._server.start()

    def adopt(self, parameters: ServerParameters) -> None:
        """Serves by *parameters*: new connections, and open ones from their next request on.

        The socket stays open, with the clients in its backlog. Connections made under another `tls`
        end, busy ones after their response.
        """
        self._parameters = parameters
        self.renew()
        self._count()
        self._most = parameters.max_connections or sys.maxsize
        self._server.socket.listen(parameters.options.backlog or BACKLOG)
        adopt = parameters.protocol.adopt
        self._end_connections([one for one in self._connections if not adopt(one)])
        self._server.resume()

    def renew(self) -> None:
        """Ends the connections made under another TLS context than the present one."""
        context = self._present_context()
        if context is not self._context:
            self._context = context
            self._end_connections(self._connections)

    def drain(self) -> None:
        """Stops accepting, and ends idle connections now and busy ones after their response."""
        self._is_draining = True
        self._server.close()
        self._end_connections(self._connections)

    def close(self, grace_seconds: float) -> bool:
        """Drains, then cuts what still runs. Returns True if all requests had finished."""
        self.drain()
        deadline = monotonic() + grace_seconds
        try:
            have_ended = bool(self._greenlets.join(timeout=grace_seconds))
            return self._lasting.wait(deadline - monotonic()) and have_ended
        finally:
            self._greenlets.kill()
            self._lasting.cut()

    def _count(self) -> None:
        """Creates the counters under the parameters' metrics."""
        metrics = self._parameters.metrics
        self._connects = metrics.counter("connects")
        self._closes = metrics.counter("closes")
        self._open = [metrics.gauge("connections")]
        if self._parameters.context is not None:
            self._open.append(metrics.gauge("tls", "connections"))
        self._endings = {
            name: metrics.counter(name)
            for name in ("client_aborts", "idle", "lifetime", "write_timeout")
        }
        self._faults = metrics.counter("failures", "internal")
        self._bytes = metrics.counter("received_bytes"), metrics.counter("sent_bytes")
        self._failures = metrics.scope("failures")
        self._server.failures = metrics.counter("accept_failures")
        self._tls_failures = metrics.counter("tls", "failures")
        self._proxy_failures = metrics.counter("proxy_protocol_failures")

    def _present_context(self) -> ssl.SSLContext | None:
        watched = self._parameters.context
        return None if watched is None else watched.value

    def _end_connections(self, connections: Iterable[Conversation]) -> None:
        loop = gevent.get_hub().loop
        for connection in connections:
            connection.is_draining = True
            loop.run_callback(connection.end_idle)

    def _end_some(self) -> bool:
        """Ends the oldest idle connections. Returns False if there were none. For the hub only."""
        now = monotonic()
        if now < self._busy_until:
            return False
        wanted = left = max(1, int(len(self._connections) * _ROOM_SHARE))
        for connection, accepted_at in list(self._connections.items()):
            if not left or now - accepted_at < _FIRST_SECONDS:
                break
            left -= connection.end_idle()
        if left == wanted:
            self._busy_until = now + _BUSY_SECONDS
        return left < wanted

    def _admits(self, sock: gevent.socket.socket) -> bool:
        """Returns True if there is a descriptor for *sock*, else refuses it. Called in the hub."""
        number, share = sock.fileno(), self._parameters.share
        if not is_beyond(share, number) or spares.make_room() or self._end_some():
            return True
        if monotonic() - self._said_at > _SAID_SECONDS:
            self._said_at = monotonic()
            _log.error(
                "port %d: refusing connections, %d descriptors are open of %s allowed (ulimit -n)",
                self.port,
                number,
                allowed(),
            )
        self._refused.append(self._greenlets.spawn(self._refuse, sock))
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popleft().kill(block=False)
        return False

    def _refuse(self, sock: gevent.socket.socket) -> None:
        """Responds that descriptors have run out, unless that would take a handshake."""
        error = NoDescriptor("the proxy is out of file descriptors")
        if self._parameters.context is not None:
            self._failures.counter(error.reason).incr()
            sock.close()
            return
        with contextlib.suppress(OSError):
            self._parameters.protocol.refuse(Stream(sock), error)

    def _admit(self, *work: object) -> None:
        self._accepted += 1
        self._greenlets.spawn(*work)

    def _serve(self, sock: gevent.socket.socket, peer: tuple[str, int]) -> None:
        self._connects.value += 1
        gevent.getcurrent().link_exception(self._count_fault)
        closed = partial(self._closed, self._closes)
        lasts = False
        try:
            lasts = self._serve_connection(sock, peer, closed)
        except OSError as error:
            _log.debug("connection from %s ended: %s", peer[0], error)
        finally:
            if not lasts:
                sock.close()
                closed()

    def _closed(self, closes: Counter) -> None:
        closes.value += 1
        self._accepted -= 1
        self._server.resume()

    def _count_fault(self, _greenlet: gevent.Greenlet) -> None:
        """Counts a connection that was ended by an exception, which gevent has printed."""
        self._faults.value += 1

    def _serve_connection(
        self, sock: gevent.socket.socket, peer: tuple[str, int], closed: Callable[[], None]
    ) -> bool:
        """Serves *sock*. Returns True if that goes on, and *closed* is called at its end."""
        parameters = self._parameters
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, parameters.options.no_delay)
        if parameters.options.keep_alive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, parameters.options.keep_alive)
        remote, local = shown(peer), shown(sock.getsockname())
        if parameters.proxy_protocol is not None:
            remote = self._client_of(sock, peer[0], parameters.proxy_protocol) or remote
        context = self._context
        stream = Stream(sock) if context is None else self._shake_hands(sock, context)
        traffic.watch(stream, stream.sock, *self._bytes)
        connection = self._parameters.protocol.accept(stream, remote, local)
        connection.is_draining = self._is_draining or self._context is not context
        self._connections[connection] = monotonic()
        numbers, endings = self._open, self._endings
        for number in numbers:
            number.value += 1

        def ended() -> None:
            for number in numbers:
                number.value -= 1
            del self._connections[connection]
            if connection.ending:
                endings[connection.ending].value += 1

        lasting: Lasting | None = None
        try:
            lasting = connection.run()
        finally:
            if lasting is None:
                ended()
            else:
                self._lasting.keep(lasting, ended, closed)
        return lasting is not None

    def _client_of(self, sock: gevent.socket.socket, host: str, balancers: Balancers) -> str | None:
        """Returns the client that a load balancer's header names. Raises OSError if it is bad."""
        try:
            return balancers.client_of(sock, host)
        except BadHeader as error:
            self._proxy_failures.value += 1
            if self._context is None:
                refusal = BadRequest(f"{error} (proxyProtocolFrom)")
                self._parameters.protocol.refuse(Stream(sock), refusal)
            sock.close()
            raise ConnectionAbortedError(str(error)) from error

    def _shake_hands(self, sock: gevent.socket.socket, context: ssl.SSLContext) -> Stream:
        """Makes the TLS handshake, and counts a failure. Raises OSError."""
        try:
            return shake_hands(sock, context)
        except OSError:
            self._tls_failures.value += 1
            raise
