"""Listening sockets: a gevent StreamServer hands each accepted connection to a greenlet.

Beyond `max_connections` none is accepted and clients wait in the kernel's backlog.
"""

import logging
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.errors import ProxyError
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree
from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream
from meshproxy.server.connection import Connection
from meshproxy.service import Service

_log = logging.getLogger(__name__)
_BACKLOG = 4096
_HANDSHAKE_SECONDS = 10.0
_LAST_CALL_SECONDS = 1.0
"""For the first request on a connection accepted as the drain began."""
_DESCRIPTOR_SHARE = 0.8
_REST_SECONDS = 0.1
"""From one accept that failed to the next try."""


class Listener:
    """One server address and the connections accepted there.

    *answer* makes the response to a message that never becomes a request.
    """

    def __init__(
        self,
        address: tuple[str, int],
        service: Service[Request, Response],
        answer: Callable[[ProxyError], Response],
        limits: Limits,
        max_connections: int,
        metrics: Tree,
        tls: ssl.SSLContext | None = None,
        options: SocketOptionsConfig | None = None,
    ) -> None:
        self._service = service
        self._answer = answer
        self._limits = limits
        self._tls = tls
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._pool = Pool(_within_descriptors(max_connections))
        self._options = options or SocketOptionsConfig()
        listening = _bind(address, self._options)
        self._server = _Acceptor(listening, self._serve, spawn=self._pool)
        self._server.failures = metrics.counter("accept_failures")
        self.port: int = self._server.address[1]
        self._connects = metrics.counter("connects")
        self._closes = metrics.counter("closes")
        self._faults = metrics.counter("failures", "internal")
        self._tls_failures = metrics.counter("tls", "failures")
        self._endings = {
            name: metrics.counter(name)
            for name in ("client_aborts", "idle", "lifetime", "write_timeout")
        }
        metrics.gauge("connections", fn=lambda: len(self._connections))
        if tls is not None:
            metrics.gauge("tls", "connections", fn=lambda: len(self._connections))

    def start(self) -> None:
        """Begin to accept."""
        self._server.start()

    def drain(self) -> None:
        """Stop accepting; end idle connections now and busy ones after their response."""
        self._is_draining = True
        self._limits = replace(self._limits, idle_seconds=_LAST_CALL_SECONDS)
        self._server.close()
        loop = gevent.get_hub().loop
        for connection in self._connections:
            connection.is_draining = True
            loop.run_callback(connection.end_idle)

    def close(self, grace_seconds: float) -> bool:
        """Drain, wait for running requests and cut what is left; whether all had finished."""
        self.drain()
        finished = bool(self._pool.join(timeout=grace_seconds))
        self._pool.kill()
        return finished

    def _serve(self, sock: gevent.socket.socket, peer: tuple[str, int]) -> None:
        self._connects.value += 1
        gevent.getcurrent().link_exception(self._count_fault)
        try:
            self._converse(sock, _show(peer))
        except OSError as error:
            _log.debug("no conversation with %s: %s", peer[0], error)
        finally:
            self._closes.value += 1

    def _count_fault(self, _greenlet: gevent.Greenlet) -> None:
        """A connection ended by an exception, which gevent has printed."""
        self._faults.value += 1

    def _converse(self, sock: gevent.socket.socket, remote: str) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self._options.no_delay)
        if self._options.keep_alive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, self._options.keep_alive)
        local = _show(sock.getsockname())
        stream = Stream(sock) if self._tls is None else self._shake_hands(sock, self._tls)
        connection = Connection(stream, self._service, self._limits, remote, local, self._answer)
        connection.is_draining = self._is_draining
        self._connections.add(connection)
        try:
            connection.run()
        finally:
            self._connections.discard(connection)
            if connection.ending:
                self._endings[connection.ending].value += 1

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


class _Acceptor(StreamServer):  # type: ignore[misc] # gevent has no types
    """Leaves clients in the backlog for a while when one cannot be accepted (EMFILE and the like).

    gevent would print a traceback for each try.
    """

    failures: Counter
    _is_failing = False
    _rest: object = None

    def do_read(self) -> tuple[gevent.socket.socket, tuple[str, int]] | None:
        """Accept one connection; None when there is none to be had."""
        try:
            accepted = super().do_read()
        except OSError as error:
            if self.is_fatal_error(error):
                raise
            self._put_off(error)
            return None
        self._is_failing = False
        return accepted  # type: ignore[no-any-return]

    def _put_off(self, error: OSError) -> None:
        self.failures.value += 1
        if not self._is_failing:
            self._is_failing = True
            _log.error("%s: cannot accept, will try again: %s", _show(self.address), error)
        self.stop_accepting()
        self._rest = timer = self.loop.timer(_REST_SECONDS)
        timer.start(self._start_accepting_if_started)


def _bind(address: tuple[str, int], options: SocketOptionsConfig) -> gevent.socket.socket:
    """A listening socket. Raises OSError, with the address in its text."""
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
    return sock


def _within_descriptors(wanted: int) -> int | None:
    """*wanted* connections (0: no limit), but never above 80 % of the descriptors allowed."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return wanted or None
    most = int(allowed * _DESCRIPTOR_SHARE)
    return min(wanted, most) if wanted else most


def _show(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
