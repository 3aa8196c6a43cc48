"""Listening sockets: a gevent StreamServer hands each accepted connection to a greenlet.

Beyond `max_connections` none is accepted: clients wait in the kernel's backlog until a connection
ends, and idle ones are ended for them.
"""

import fcntl
import logging
import resource
import socket
import ssl
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import gevent
from gevent.pool import Group

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.tls import ServerTlsConfig
from meshproxy.metrics.tree import Tree
from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream
from meshproxy.server.acceptor import Acceptor
from meshproxy.server.protocol import Conversation, ServerProtocol

_log = logging.getLogger(__name__)
_BACKLOG = 4096
_HANDSHAKE_SECONDS = 10.0
_DESCRIPTOR_SHARE = 0.8
_ROOM_SHARE = 0.1
"""Of the connections, so many idle ones end at once for clients that wait."""
_HIGH_DESCRIPTOR = 16384
"""The kernel's table grows to the highest one, by 8 bytes for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParameters:
    """What a listener does with its connections; a reload gives it others."""

    protocol: ServerProtocol
    max_connections: int
    """0 is no limit of its own."""
    metrics: Tree
    context: ssl.SSLContext | None = None
    """None is plain text."""
    tls: ServerTlsConfig | None = None
    """What *context* was made of; connections do not outlive a change of it."""
    options: SocketOptionsConfig = SocketOptionsConfig()  # noqa: RUF009 - a value


class Listener:
    """One listening socket and the connections accepted there."""

    def __init__(self, sock: gevent.socket.socket, parameters: ServerParameters) -> None:
        self._parameters = parameters
        self._connections: dict[Conversation, None] = {}
        """The oldest first."""
        self._is_draining = False
        self._greenlets = Group()
        self._accepted = 0
        self._most = _within_descriptors(parameters.max_connections)
        self._server = Acceptor(sock, self._serve, spawn=self._admit)
        self._server.is_full = lambda: self._accepted >= self._most
        self._server.make_room = lambda: gevent.get_hub().loop.run_callback(self._end_some)
        self.port: int = self._server.address[1]
        self._count()

    def start(self) -> None:
        """Begin to accept."""
        self._server.start()

    def adopt(self, parameters: ServerParameters) -> None:
        """Serve by *parameters*: new connections, and open ones from their next request on.

        The socket stays as it is, with those who wait in its backlog. Connections made under
        another `tls` end, busy ones after their response.
        """
        is_other_tls = parameters.tls != self._parameters.tls
        self._parameters = parameters
        self._count()
        self._most = _within_descriptors(parameters.max_connections)
        self._server.socket.listen(parameters.options.backlog or _BACKLOG)
        adopt = parameters.protocol.adopt
        left = [one for one in self._connections if not adopt(one) or is_other_tls]
        self._end_connections(left)
        self._server.resume()

    def drain(self) -> None:
        """Stop accepting; end idle connections now and busy ones after their response."""
        self._is_draining = True
        self._server.close()
        self._end_connections(self._connections)

    def close(self, grace_seconds: float) -> bool:
        """Drain, wait for running requests and cut what is left; whether all had finished."""
        self.drain()
        try:
            return bool(self._greenlets.join(timeout=grace_seconds))
        finally:
            self._greenlets.kill()

    def _count(self) -> None:
        """Count where the parameters say."""
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
        self._server.failures = metrics.counter("accept_failures")
        self._tls_failures = metrics.counter("tls", "failures")

    def _end_connections(self, connections: Iterable[Conversation]) -> None:
        loop = gevent.get_hub().loop
        for connection in connections:
            connection.is_draining = True
            loop.run_callback(connection.end_idle)

    def _end_some(self) -> None:
        """End the oldest idle connections; called in the hub only."""
        left = max(1, int(self._most * _ROOM_SHARE))
        for connection in list(self._connections):
            left -= connection.end_idle()
            if not left:
                break

    def _admit(self, *work: object) -> None:
        self._accepted += 1
        self._greenlets.spawn(*work)

    def _serve(self, sock: gevent.socket.socket, peer: tuple[str, int]) -> None:
        closes = self._closes
        self._connects.value += 1
        gevent.getcurrent().link_exception(self._count_fault)
        try:
            self._converse(sock, _show(peer))
        except OSError as error:
            _log.debug("no conversation with %s: %s", peer[0], error)
        finally:
            closes.value += 1
            self._accepted -= 1
            self._server.resume()

    def _count_fault(self, _greenlet: gevent.Greenlet) -> None:
        """A connection ended by an exception, which gevent has printed."""
        self._faults.value += 1

    def _converse(self, sock: gevent.socket.socket, remote: str) -> None:
        parameters = self._parameters
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, parameters.options.no_delay)
        if parameters.options.keep_alive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, parameters.options.keep_alive)
        local = _show(sock.getsockname())
        context = parameters.context
        stream = Stream(sock) if context is None else self._shake_hands(sock, context)
        is_late = self._parameters.tls != parameters.tls
        parameters = self._parameters
        connection = parameters.protocol.converse(stream, remote, local)
        connection.is_draining = self._is_draining or is_late
        self._connections[connection] = None
        numbers, endings = self._open, self._endings
        for number in numbers:
            number.value += 1
        try:
            connection.run()
        finally:
            for number in numbers:
                number.value -= 1
            del self._connections[connection]
            if connection.ending:
                endings[connection.ending].value += 1

    def _shake_hands(self, sock: gevent.socket.socket, context: ssl.SSLContext) -> Stream:
        """Begin TLS. Raises OSError when the client cannot, or takes too long."""
        wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        try:
            with gevent.Timeout(_HANDSHAKE_SECONDS, TimeoutError("no TLS handshake in time")):
                wrapped.do_handshake()
        except BaseException as error:
            wrapped.close()
            if isinstance(error, OSError):
                self._tls_failures.value += 1
            raise
        return TlsStream(wrapped)


def listen(address: tuple[str, int], options: SocketOptionsConfig) -> gevent.socket.socket:
    """A listening socket at *address*. Raises OSError, with the address in its text."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, options.reuse_addr)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, options.reuse_port)
        sock.bind(address)
        sock.listen(options.backlog or _BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{_show(address)}: {error.strerror}") from error
    return _raised(sock) if options.reuse_port else sock


def _raised(sock: gevent.socket.socket) -> gevent.socket.socket:
    """*sock* under a descriptor above those of connections.

    Of a process that is killed Linux closes the highest descriptor first. So whoever connects
    again, after a reset, finds others who listen at the address, not the backlog of the dead.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _HIGH_DESCRIPTOR if allowed == resource.RLIM_INFINITY else int(allowed * 0.9)
    with sock:
        raised = fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, min(wanted, _HIGH_DESCRIPTOR))
    return gevent.socket.socket(fileno=raised)


def _within_descriptors(wanted: int) -> int:
    """*wanted* connections (0: no limit), but never above 80 % of the descriptors allowed."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if allowed == resource.RLIM_INFINITY else int(allowed * _DESCRIPTOR_SHARE)
    return min(wanted, most) if wanted else most


def _show(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
