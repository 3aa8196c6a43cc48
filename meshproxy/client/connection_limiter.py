"""Limits the concurrent requests to an endpoint; the others wait in order.

finagle: client/DefaultPool.scala, pool/WatermarkPool.scala (maxSize, maxWaiters).
"""

from collections import deque
from time import monotonic

import gevent
from gevent.event import AsyncResult

from meshproxy.errors import PoolFull, TimedOutInQueue
from meshproxy.metrics.tree import Tree


class WaitStats:
    """Statistics of the wait for connections, in the client's scope of the metrics."""

    __slots__ = ("refused", "waited", "waiting")

    def __init__(self, metrics: Tree) -> None:
        self.waited = metrics.counter("pool_num_waited")
        self.refused = metrics.counter("pool_num_too_many_waiters")
        self.waiting = metrics.gauge("pool_waiters")


class ConnectionLimiter:
    """Admits *size* holders at a time; up to *max_waiters* others wait in order of arrival."""

    __slots__ = ("_free", "_line", "_max_waiters", "_stats")

    def __init__(self, size: int, max_waiters: float, stats: WaitStats) -> None:
        self._free = size
        self._max_waiters = max_waiters
        self._line: deque[AsyncResult] = deque()
        self._stats = stats

    def enter(self, deadline: float) -> None:
        """Enters, waiting until monotonic second *deadline*. Raises PoolFull or TimedOutInQueue."""
        if self._free:
            self._free -= 1
            return
        if len(self._line) >= self._max_waiters:
            self._stats.refused.value += 1
            raise PoolFull("every connection is in use and the queue for them is full (maxWaiters)")
        self._stats.waited.value += 1
        self._stats.waiting.value += 1
        turn: AsyncResult = AsyncResult()
        self._line.append(turn)
        try:
            turn.get(timeout=max(deadline - monotonic(), 0))
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, gevent.Timeout):
                raise TimedOutInQueue("timed out in the queue for a connection") from None
            raise
        finally:
            self._stats.waiting.value -= 1

    def leave(self) -> None:
        """Leaves, and admits the first in the queue."""
        if self._line:
            self._line.popleft().set()
        else:
            self._free += 1

    def _give_up(self, turn: AsyncResult) -> None:
        """Leaves the queue, or passes on a turn that came at the last moment."""
        if turn.ready():
            self.leave()
        else:
            self._line.remove(turn)
