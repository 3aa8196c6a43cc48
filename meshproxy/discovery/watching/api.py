"""A discovery API: its addresses, how to connect, and the limits on requests to it."""

import math
import random
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from meshproxy.discovery.watching.decoding import MAX_BYTES
from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from meshproxy.naming.addr import ADDR_PENDING, Addr, Address, AddrFailed, merged
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Failed, Ok, Pending, State, Var, collect
from meshproxy.wording import in_words

MAX_HELD: Final = 100
"""Requests that one API may hold until something changes; a Consul agent allows 200 connections."""
MAX_ASKING: Final = 28
"""Other requests to one API at a time; the rest queue."""
MAX_ALL_BYTES: Final = 256 * 1024 * 1024
"""Most bytes of the latest answers on all connections of one API together."""
_KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""TCP keep-alive: a machine that has disappeared is noticed within a minute."""

MAX_TRIES: Final = 3
"""Addresses tried for one connection."""
FAIL_FAST_S: Final = 1.0

Bind: TypeAlias = Callable[[Path], Activity[NameTree[Bound]]]
"""Binds a name without a dtab."""
Tls: TypeAlias = tuple[ssl.SSLContext, str | None]
"""A context that does not check names, and the name to send and to verify."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits for one API; times in seconds."""

    pace_s: float = 0.1
    """Between two requests of a watch."""
    connect_s: float = 5.0
    head_s: float = 30.0
    """Until an answer begins, unless the request allows more."""
    body_s: float = 30.0
    """For the rest of an answer, or of a line of a stream."""
    stream_s: float = 600.0
    """Limit on a stream, so that a server that hangs is not trusted for ever."""
    idle_timeout_s: float = math.inf
    """Idle timeout between two lines of a stream, for APIs that always send something."""
    max_bytes: int = MAX_BYTES
    """Most bytes of an answer."""
    max_line_bytes: int = MAX_BYTES
    """Most bytes of a line of a stream."""


class Api:
    """The API of a discovery system: its addresses, and how to ask it."""

    def __init__(
        self,
        where: Var[Addr],
        host: str,
        *,
        tls: Tls | None = None,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
        fail_fast: bool = False,
    ) -> None:
        """Sets what is particular to this API.

        Args:
            where: its addresses, followed as they change; any of them is used.
            host: the Host of every request, and its name in logs.
            tls: the parameters of TLS; plain HTTP without.
            headers: the header fields of every request.
            bounds: the limits.
            fail_fast: after a connect failure, try no connection for `FAIL_FAST_S`.
        """
        self.where = where
        self.host = host
        self.bounds = bounds or Bounds()
        self.complaints = Complaints(host)
        self.asking = BoundedSemaphore(MAX_ASKING)
        """Limits the short requests under way."""
        self.held_bytes = 0
        """Bytes of the latest answer on each connection, together."""
        self._tls = tls
        self._headers = headers or {}
        self._fail_fast = fail_fast
        self._held = BoundedSemaphore(MAX_HELD)
        self._down_until = 0.0

    @classmethod
    def at(cls, bind: Bind, host: str, port: int, **others: Any) -> "Api":
        """Returns the API on *port* of *host*, which *bind* resolves; *others* as for any API."""
        where = addresses_of(bind(Path.of("$", "inet", host, str(port))))
        return cls(where, authority(host, port), **others)

    def place(self) -> AbstractContextManager[bool]:
        """Takes one of the `MAX_HELD` places for held requests, if there is one."""
        return place_among(self._held)

    def headers(self) -> Mapping[str, str]:
        """Returns the header fields of every request. Raises `ApiFailure` without credentials."""
        return self._headers

    def connect(self, addresses: Collection[Address]) -> tuple[HTTPConnection, Address]:
        """Returns an open connection to one of *addresses*. Raises `ApiFailure` if all fail."""
        if self._fail_fast and time.monotonic() < self._down_until:
            raise ApiFailure(Reason.CONNECT, "there was no connection a moment ago (failFast)")
        failure = ApiFailure(Reason.CONNECT, f"{self.host} has no address")
        for address in random.sample(list(addresses), min(len(addresses), MAX_TRIES)):
            try:
                return self._connect(address), address
            except ApiFailure as error:
                failure = error
        self._down_until = time.monotonic() + FAIL_FAST_S
        raise failure

    def _connect(self, address: Address) -> HTTPConnection:
        connection = self._new(address)
        open_connection(connection, self.bounds.connect_s)
        return connection

    def _new(self, address: Address) -> HTTPConnection:
        options = [*HTTPConnection.default_socket_options, *_KEEP_ALIVE]
        if self._tls is None:
            return HTTPConnection(address.host, address.port, socket_options=options)
        context, name = self._tls
        name = name and name.rstrip(".")
        return HTTPSConnection(
            address.host,
            address.port,
            socket_options=options,
            ssl_context=context,
            server_hostname=name,
            assert_hostname=name if context.verify_mode else False,
        )


@contextmanager
def place_among(places: BoundedSemaphore) -> Iterator[bool]:
    """Takes one of *places* for the block, if one is free; says if it has."""
    has_place = places.acquire(blocking=False)
    try:
        yield has_place
    finally:
        if has_place:
            places.release()


def addresses_of(bound: Activity[NameTree[Bound]]) -> Var[Addr]:
    """Returns the addresses of all leaves of *bound* in one set."""

    def follow(state: State[NameTree[Bound]]) -> Var[Addr]:
        match state:
            case Ok(tree):
                leaves: list[Bound] = []
                tree.map(leaves.append)
                return collect([leaf.addr for leaf in leaves]).map(merged)
            case Failed(error):
                return Var(AddrFailed(str(error)))
            case Pending():
                return Var(ADDR_PENDING)

    return bound.flat_map(follow)


def authority(host: str, port: int) -> str:
    """Returns the Host for requests to *host*; the ports of HTTP and HTTPS are omitted."""
    return host if port in (80, 443) else f"{host}:{port}"


def open_connection(connection: HTTPConnection, seconds: float) -> None:
    """Connects, and makes the handshake for TLS. Raises `ApiFailure`."""
    peer = f"{connection.host}:{connection.port}"
    try:
        _open(connection, seconds)
    except (ssl.SSLError, ValueError) as error:  # ValueError: certificate and name differ
        raise ApiFailure(Reason.TLS, f"no TLS with {peer}: {in_words(error)}") from error
    except (HTTPError, OSError) as error:
        why = in_words(error.__cause__ or error)
        raise ApiFailure(Reason.CONNECT, f"no connection to {peer}: {why}") from error


def _open(connection: HTTPConnection, seconds: float) -> None:
    """Connects in a separate greenlet, which closes its socket whatever happens to ours."""
    opened: AsyncResult[None] = AsyncResult()

    def connect() -> None:
        connection.timeout = seconds
        try:
            connection.connect()
        except (HTTPError, OSError, ValueError) as error:
            connection.close()
            opened.set_exception(error)
        else:
            connection.timeout = None
            opened.set()

    connecting = gevent.spawn(connect)
    try:
        with within(seconds, "no connection", Reason.CONNECT):
            opened.get()
    except BaseException:
        connecting.kill(TimeoutError(), block=False)  # which urllib3 and ssl close their sockets on
        opened.rawlink(lambda _: connection.close())
        raise


@contextmanager
def within(seconds: float, otherwise: str, reason: Reason = Reason.STALLED) -> Iterator[None]:
    """Limits the time of the block. Raises `ApiFailure` with *reason* if it takes longer."""
    limit = gevent.Timeout(seconds)
    limit.start()
    try:
        yield
    except gevent.Timeout as timeout:
        if timeout is not limit:
            raise
        raise ApiFailure(reason, f"{otherwise} within {seconds:g} s") from None
    finally:
        limit.close()
