"""Requests that wait for a stream: for a session with room, or for the connection being made.

finagle: pool/WatermarkPool.scala (maxWaiters).
"""

from collections import deque
from collections.abc import Callable
from time import monotonic

import gevent
from gevent.event import AsyncResult

from meshproxy.client.connection_limiter import WaitStats
from meshproxy.client.h2.session import ClientSession
from meshproxy.errors import PoolFull, ProxyError, TimedOutConnecting, TimedOutInQueue


class StreamQueue:
    """A queue, in order of arrival, for room in any of *sessions*.

    *connect* is called whenever somebody waits, to make another session if that is allowed. While
    every session is full, *max_waiters* may wait.
    """

    __slots__ = ("_connect", "_max_waiters", "_sessions", "_stats", "turns")

    def __init__(
        self,
        sessions: list[ClientSession],
        connect: Callable[[], object],
        max_waiters: float,
        stats: WaitStats,
    ) -> None:
        self._sessions = sessions
        self._connect = connect
        self._max_waiters = max_waiters
        self._stats = stats
        self.turns: deque[AsyncResult[ClientSession]] = deque()
        """Empty if nobody waits."""

    def wait(self, deadline: float, *, is_full: bool) -> ClientSession:
        """Returns a session with room, waiting until monotonic second *deadline* for it.

        *is_full* says if the wait is for a stream, or for a connection. Raises PoolFull,
        TimedOutInQueue, TimedOutConnecting, and what `fail` is given.
        """
        stats = self._stats
        if is_full:
            if len(self.turns) >= self._max_waiters:
                stats.refused.value += 1
                raise PoolFull("every stream is in use and the queue for them is full (maxWaiters)")
            stats.waited.value += 1
        turn: AsyncResult[ClientSession] = AsyncResult()
        self.turns.append(turn)
        self._connect()
        stats.waiting.value += is_full
        try:
            while True:
                session: ClientSession = turn.get(timeout=max(deadline - monotonic(), 0))
                session.promised -= 1
                if session.has_room():
                    return session
                turn = AsyncResult()
                self.turns.appendleft(turn)
                self._connect()
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, gevent.Timeout):
                if is_full:
                    raise TimedOutInQueue("timed out in the queue for a stream") from None
                raise TimedOutConnecting("timed out waiting for a connection") from None
            raise
        finally:
            stats.waiting.value -= is_full

    def admit(self) -> None:
        """Promises what room there is to those who have waited longest."""
        turns = self.turns
        for session in self._sessions:
            while turns and session.has_room():
                session.promised += 1
                turns.popleft().set(session)

    def fail(self, error: ProxyError) -> None:
        """Ends every wait with an error like *error*, one for each."""
        while self.turns:
            self.turns.popleft().set_exception(type(error)(*error.args))

    def _give_up(self, turn: "AsyncResult[ClientSession]") -> None:
        """Leaves the queue, or passes on a stream that was promised at the last moment."""
        if turn in self.turns:
            self.turns.remove(turn)
        elif turn.successful():
            turn.value.promised -= 1
            self.admit()
