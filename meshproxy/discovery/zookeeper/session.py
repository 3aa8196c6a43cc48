"""One session with a ZooKeeper ensemble, by kazoo in greenlets.

kazoo is an extra: without it, nothing but `has_client` may be used of this package.

"""

import errno
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import gevent
from gevent import socket
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException
from kazoo.handlers.gevent import SequentialGeventHandler
from kazoo.handlers.utils import create_tcp_connection
from kazoo.retry import KazooRetry

from meshproxy.log_once import LogOnce
from meshproxy.naming.addr import Address

MAX_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of one answer; servers limit nodes to 1 MB by default."""

log_once = LogOnce(logging.getLogger(__name__))


@dataclass(frozen=True, slots=True)
class SessionTiming:
    """How long an ensemble may take, in seconds."""

    session_s: float = 10.0
    """Session timeout: without a connection for so long, it and the nodes it created are lost."""
    connect_s: float = 5.0
    """Limit on the first connection of a session, and on the wait for one."""
    answer_s: float = 10.0
    close_s: float = 2.0
    """Limit on closing a session."""


class ZooKeeperSession:
    """A session with any of *servers* that can be reached; it begins at once.

    *changed* is called, and must not block, when its state may be another.
    """

    def __init__(
        self, servers: Collection[Address], timing: SessionTiming, changed: Callable[[], None]
    ) -> None:
        self._timing = timing
        self._handler = _Handler()
        self._last_word = _LastWord()
        retry = KazooRetry(
            max_tries=-1, delay=0.1, max_delay=5.0, sleep_func=self._handler.sleep_func
        )
        self.client = KazooClient(
            ",".join(sorted(_written(server) for server in servers)),
            timeout=timing.session_s,
            handler=self._handler,
            connection_retry=retry,
            command_retry=KazooRetry(max_tries=0, sleep_func=self._handler.sleep_func),
            logger=self._last_word,
        )
        self.has_begun = False
        """True if there has been a connection."""
        self.state = KazooState.LOST
        self._disconnected_at = time.monotonic()
        self._changed = changed
        self.client.add_listener(self._take)
        self.client.start_async()

    @property
    def is_connected(self) -> bool:
        """True if requests can be sent."""
        return bool(self.state == KazooState.CONNECTED)

    @property
    def left_s(self) -> float | None:
        """Seconds until it expires without a connection; None while it has one."""
        if self.is_connected:
            return None
        if self.has_begun and self.state == KazooState.LOST:
            return 0.0
        limit = self._timing.session_s if self.has_begun else self._timing.connect_s
        return max(0.0, self._disconnected_at + limit - time.monotonic())

    @property
    def peer(self) -> Address | None:
        """The server that it is connected to, or was last."""
        return self._handler.peer

    @property
    def why(self) -> str:
        """The last failure, if there was one."""
        return self._last_word.text

    def end(self) -> None:
        """Ends it without waiting: nodes that it created are gone, nothing is reported any more."""
        self._changed = _nothing
        gevent.spawn(self.end_and_wait)

    def end_and_wait(self) -> None:
        """Closes it within `close_s`, whatever the server does."""
        self._changed = _nothing
        cutting = gevent.spawn_later(self._timing.close_s, self._handler.cut)
        try:
            with suppress(KazooException, OSError):
                self.client.stop()
            self.client.close()
        finally:
            cutting.kill(block=False)

    def _take(self, state: Any) -> None:
        if self.is_connected:
            self._disconnected_at = time.monotonic()
        self.state = state
        self.has_begun = self.has_begun or self.is_connected
        self._changed()


def _written(server: Address) -> str:
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}"


def _nothing() -> None:
    """Ignores the report."""


class _Handler(SequentialGeventHandler):  # type: ignore[misc] # kazoo has no types
    """Makes bounded sockets, and logs once what breaks a connection's greenlet."""

    def __init__(self) -> None:
        super().__init__()
        self.peer: Address | None = None
        self._socket: _Socket | None = None
        self._is_cut = False

    def create_connection(self, *args: Any, address: tuple[str, int], **options: Any) -> "_Socket":
        """Connects to *address*."""
        if self._is_cut:
            raise ConnectionAbortedError("the session is over")
        self._socket = _Socket(create_tcp_connection(socket, address, *args, **options))
        self.peer = Address(*address)
        return self._socket

    def cut(self) -> None:
        """Ends all waits for the server."""
        self._is_cut = True
        if self._socket is not None:
            self._socket.cut()

    def spawn(self, func: Callable[..., Any], *args: Any, **options: Any) -> gevent.Greenlet:
        """Runs *func* in a greenlet."""

        def guarded() -> None:
            try:
                func(*args, **options)
            except Exception:
                log_once.exception("a connection to ZooKeeper broke")

        return gevent.spawn(guarded)


class _Socket:
    """A socket that limits the size of an answer, which kazoo reads as a whole."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.fileno = inner.fileno
        self.send = inner.send
        self.setblocking = inner.setblocking
        self.close = inner.close

    def recv(self, size: int) -> bytes:
        """Returns what has arrived, at most *size* bytes. Raises OSError for a larger answer."""
        if size > MAX_BYTES:
            raise OSError(errno.EMSGSIZE, f"an answer of {size} bytes")
        data: bytes = self._inner.recv(size)
        return data

    def cut(self) -> None:
        """Ends the connection, also for a greenlet that reads from it."""
        with suppress(OSError):
            self._inner.shutdown(socket.SHUT_RDWR)


class _LastWord(logging.Logger):
    """Keeps the last warning of kazoo instead of logging one for each attempt."""

    def __init__(self) -> None:
        super().__init__("kazoo", logging.WARNING)
        self.text = ""

    def handle(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        self.text = record.getMessage()
