"""A bound on what waits in memory for peers that do not read, of all connections together.

The window of a stream bounds what waits for one of them. A connection's does not hold back: all
clients of an endpoint share it, and one of them could stop the others by reading nothing.
"""

from collections import defaultdict
from collections.abc import Hashable
from heapq import heapify, heappop, heapreplace
from operator import itemgetter
from typing import Final, Protocol

from gevent import get_hub

from meshproxy.errors import ProxyError

MOST_BYTES: Final = 256 * 1024 * 1024
SMALL: Final = 4096
"""Bytes from which on a body counts, since most are read at once."""
_LEFT: Final = 7 / 8
"""Share of the limit down to which bodies are given up, so that this is rare."""


class MemoryShort(ProxyError):
    """Bodies that nobody takes are over the limit for all of them, and this is a large one."""

    by_client = True
    status = 503
    reason = "memory"


class Holder(Protocol):
    """A body of which bytes wait."""

    def give_up(self, error: ProxyError) -> None:
        """Ends its stream with *error*, and drops what waits. For the hub only."""
        ...


class BodyMemory:
    """Knows what waits of each body; of more than *most* bytes, bodies are given up.

    They are the largest ones of the session that holds most, until it does no longer.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.total = 0
        """Bytes that wait."""
        self._held: dict[Holder, tuple[Hashable, int]] = {}
        self._is_due = False

    def note(self, holder: Holder, session: Hashable, count: int) -> None:
        """Says that *count* bytes of *holder*, a body of *session*, wait now."""
        if count <= SMALL and holder not in self._held:
            return
        _, before = self._held.get(holder, (None, 0))
        self.total += count - before
        if count:
            self._held[holder] = session, count
            if self.total > self.most and not self._is_due:
                self._is_due = True
                get_hub().loop.run_callback(self._make_room)
        else:
            del self._held[holder]

    def _make_room(self) -> None:
        self._is_due = False
        bodies: dict[int, list[tuple[int, Hashable, Holder]]] = defaultdict(list)
        for body, (session, count) in self._held.items():
            bodies[id(session)].append((count, session, body))
        for found in bodies.values():
            found.sort(key=itemgetter(0))
        largest = [(-sum(row[0] for row in found), key) for key, found in bodies.items()]
        heapify(largest)  # a session at a time, as there may be thousands
        while self.total > self.most * _LEFT and largest:
            size, key = largest[0]
            count, session, body = bodies[key].pop()
            if bodies[key]:
                heapreplace(largest, (size + count, key))
            else:
                heappop(largest)
            if body in self._held:
                body.give_up(MemoryShort("too much waits for peers that do not read"))
                self.note(body, session, 0)


memory: Final = BodyMemory()
"""The bodies of this process."""
