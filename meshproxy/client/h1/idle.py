"""The idle connections of one pool, last used on top: a queue for urllib3, without locks.

Greenlets switch only where they wait, and nothing here waits. Idle and life times are checked by
the wheel and when a connection is taken (finagle: pool/CachingPool.scala, ExpiringService.scala).
"""

import math
from queue import Empty
from time import monotonic

from meshproxy.client.connection import PlainConnection, TlsConnection
from meshproxy.client.transport import ExpiryStats, Session
from meshproxy.net.descriptors import spares
from meshproxy.net.wheel import wheel

Connection = PlainConnection | TlsConnection


class IdleStack:
    """A last-in first-out queue of connections; `connections` has the oldest first."""

    stats: ExpiryStats

    def __init__(self, maxsize: int) -> None:
        self.connections: list[Connection] = []
        self.session: Session | None = None
        """Set, with `stats`, if the life of connections is limited."""
        self.maxsize = maxsize
        self.deadline = math.inf
        self.filed_until = math.inf
        spares.add(self)

    def put(self, connection: Connection | None, block: bool = False) -> None:
        """Keeps *connection*; ignores the None that urllib3 fills new queues with."""
        del block
        if connection is None:
            return
        self.connections.append(connection)
        if self.session is not None:
            connection.idle_since = monotonic()
            self._file(self.session)

    def take(self) -> Connection | None:
        """Returns the connection used last, or None; closes one that has unsolicited data."""
        if self.session is not None:
            self._close_old(self.session)
        if not self.connections:
            return None
        connection = self.connections.pop()
        stream = connection.stream
        if stream is not None and stream.has_stray():
            connection.close()
        return connection

    def get(self, block: bool = False) -> Connection:
        """Returns the connection used last, for urllib3 to close. Raises queue.Empty."""
        del block
        if not self.connections:
            raise Empty
        return self.connections.pop()

    def drop_if_stray(self, connection: Connection) -> None:
        """Closes *connection* if it is idle and its peer has closed it or sent unsolicited data."""
        if connection in self.connections and not connection.is_connected:
            self.connections.remove(connection)
            connection.close()

    def qsize(self) -> int:
        """Returns the number of idle connections."""
        return len(self.connections)

    def drain(self) -> int:
        """Closes every connection and returns their number."""
        return self.let_go(len(self.connections))

    def let_go(self, most: int) -> int:
        """Closes up to *most* of them, oldest first, and returns their number."""
        gone = self.connections[:most]
        del self.connections[:most]
        for connection in gone:
            connection.close()
        return len(gone)

    def expire(self) -> None:
        """Closes those that are too old, and files itself for the next; called by the wheel."""
        if self.session is not None:
            self._close_old(self.session)
            self._file(self.session)

    def _file(self, session: Session) -> None:
        if not self.connections:
            self.deadline = math.inf
            return
        limit = session.idle_seconds
        if len(self.connections) > session.keep:
            limit = min(limit, session.spare_seconds)
        self.deadline = self.connections[0].idle_since + limit
        if session.life_seconds < math.inf:
            oldest = min(connection.opened_at for connection in self.connections)
            self.deadline = min(self.deadline, oldest + session.life_seconds)
        if self.deadline < self.filed_until:
            wheel.file(self)

    def _close_old(self, session: Session) -> None:
        now = monotonic()
        kept: list[Connection] = []
        spare = len(self.connections) - session.keep
        for connection in self.connections:
            idle = now - connection.idle_since
            if now - connection.opened_at >= session.life_seconds:
                self.stats.lifetime.value += 1
            elif idle >= session.idle_seconds or (idle >= session.spare_seconds and spare > 0):
                self.stats.idle.value += 1
            else:
                kept.append(connection)
                continue
            spare -= 1
            connection.close()
        self.connections[:] = kept
