"""Values by key: built on first use, closed when idle for long or when room is needed.

finagle: factory/ServiceFactoryCache.scala. An entry in use is never closed; if a full cache has no
idle entry, the new value is for one use only. Names used once are evicted before names used again,
so a flood of unknown names does not evict the others. Only the cost of `drop` and `close` grows
with the number of entries. A name used again and again costs two look-ups, as it stays out of the
lines of idle entries until another one is used.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from meshproxy.metrics.tree import Tree
from meshproxy.net.turn import next_turn


class Closable(Protocol):
    """A value that a cache can hold."""

    def close(self, *, expired: bool = False) -> None:
        """Releases what the value holds; what nothing else uses has *expired* with the value."""
        ...


_CLOSED_PER_TURN: Final = 20
"""Expired entries closed before other greenlets get their turn."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Closable)
Owner = TypeVar("Owner")
"""What the values of a cache are built for."""


class CacheEntry(Generic[K, V]):
    """A value with the number of its users."""

    __slots__ = ("is_cached", "key", "line", "sweeps", "users", "value")

    def __init__(self, key: K, value: V, line: "Line[K, V]") -> None:
        self.key = key
        self.value = value
        self.users = 1
        self.line = line
        """The line in which the entry is while idle, unless it was the last one used."""
        self.sweeps = 0
        """The number of sweeps before it became idle."""
        self.is_cached = True


Line: TypeAlias = OrderedDict[CacheEntry[K, V], None]
"""Idle entries, the longest idle first."""


class IdleCache(Generic[K, V]):
    """At most *capacity* entries (0: no limit)."""

    def __init__(self, capacity: int, metrics: Tree) -> None:
        self.capacity = capacity
        self._is_closed = False
        self._entries: dict[K, CacheEntry[K, V]] = {}
        self._used_once: Line[K, V] = OrderedDict()
        self._used_again: Line[K, V] = OrderedDict()
        self._latest: CacheEntry[K, V] | None = None
        """The cached entry that became idle last; it is in no line, even if it is idle."""
        self._misses = metrics.counter("misses")
        self._evicts = metrics.counter("evicts")
        self._expires = metrics.counter("expires")
        self._oneshots = metrics.counter("oneshots")
        self._sweeps = 0
        metrics.gauge("size", fn=self._entries.__len__)

    def take(self, key: K, build: Callable[[K, Owner], V], owner: Owner) -> CacheEntry[K, V]:
        """Returns the entry of *key*, built for *owner* if there is none; in use until `give`."""
        entry = self._entries.get(key)
        if entry is not None:
            if not entry.users and entry is not self._latest:
                del entry.line[entry]
            entry.users += 1
            entry.line = self._used_again
            return entry
        self._misses.value += 1
        has_room = self._has_room()
        # after room was made: closing a value may have freed more below it
        entry = CacheEntry(key, build(key, owner), self._used_once)
        if has_room:
            self._entries[key] = entry
        else:
            self._oneshots.value += 1
            entry.is_cached = False
        return entry

    def give(self, entry: CacheEntry[K, V], expired: bool = False) -> None:
        """Ends one use of *entry*; closes it after its last one if *expired* or not cached."""
        entry.users -= 1
        if entry.users:
            return
        entry.sweeps = self._sweeps
        if entry is not self._latest:
            if not entry.is_cached:
                entry.value.close(expired=expired)
                return
            before, self._latest = self._latest, entry
            if before is not None and not before.users:
                before.line[before] = None
        if expired:
            self._expire(entry)

    def sweep(self) -> None:
        """Closes entries idle since the last sweep, some at a time; call it once each idle period.

        The last one used stays, so a sweep never empties a cache.
        """
        self._sweeps += 1
        closed = 0
        for line in (self._used_once, self._used_again):
            while line and (entry := next(iter(line))).sweeps <= self._sweeps - 2:
                self._expire(entry)
                closed += 1
                if closed % _CLOSED_PER_TURN == 0:
                    next_turn()

    def close(self) -> None:
        """Closes all values, those in use after their use, and keeps none from now on."""
        self._is_closed = True
        self.drop(lambda _: True)

    def drop(self, is_stale: Callable[[K], bool]) -> None:
        """Closes the values of stale keys, those in use after their use."""
        for entry in [entry for key, entry in self._entries.items() if is_stale(key)]:
            self._close(entry)

    def values(self) -> list[V]:
        """Returns the values cached at present."""
        return [entry.value for entry in self._entries.values()]

    def _has_room(self) -> bool:
        """Returns True if another entry can be cached, after closing idle ones if necessary."""
        if self._is_closed:
            return False
        while self.capacity and len(self._entries) >= self.capacity:
            entry = self._oldest()
            if entry is None:
                return False
            self._evicts.value += 1
            self._close(entry)
        return True

    def _oldest(self) -> CacheEntry[K, V] | None:
        """Returns the idle entry that makes room first, if there is one."""
        latest = self._latest
        if latest is not None and latest.users:
            latest = None
        if self._used_once:
            return next(iter(self._used_once))
        if self._used_again and (latest is None or latest.line is self._used_again):
            return next(iter(self._used_again))
        return latest

    def _expire(self, entry: CacheEntry[K, V]) -> None:
        self._expires.value += 1
        self._close(entry, expired=True)

    def _close(self, entry: CacheEntry[K, V], *, expired: bool = False) -> None:
        del self._entries[entry.key]
        if entry is self._latest:
            self._latest = None
        elif not entry.users:
            del entry.line[entry]
        if entry.users:
            entry.is_cached = False
        else:
            entry.value.close(expired=expired)
