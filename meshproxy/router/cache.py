"""Values by key, built at first use, closed when idle for long or when room is needed.

finagle: factory/ServiceFactoryCache.scala. An entry in use is never closed; a full cache without
an idle entry builds a value for one use only. Names used once make room before names used again,
so a flood of unknown names does not push out the others.
"""

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from meshproxy.metrics.tree import Tree


class Closable(Protocol):
    """What a cache can hold."""

    def close(self) -> None:
        """Release whatever the value holds."""
        ...


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Closable)


class Entry(Generic[V]):
    """A value with the number of its users; hot code writes `users` itself."""

    __slots__ = ("is_cached", "stamp", "users", "value")

    def __init__(self, value: V, stamp: int) -> None:
        self.value = value
        self.users = 1
        self.stamp = stamp
        """The cache's own time of the last use; negative if that was the only one."""
        self.is_cached = True


class IdleCache(Generic[K, V]):
    """At most *capacity* entries (0: no limit)."""

    def __init__(self, capacity: int, metrics: Tree) -> None:
        self.capacity = capacity
        self._is_closed = False
        self._entries: dict[K, Entry[V]] = {}
        self._misses = metrics.counter("misses")
        self._evicts = metrics.counter("evicts")
        self._expires = metrics.counter("expires")
        self._oneshots = metrics.counter("oneshots")
        self._now = 0
        """Grows with every use and every sweep."""
        self._swept = 0
        """When the last sweep was."""
        metrics.gauge("size", fn=self._entries.__len__)

    def take(self, key: K, build: Callable[[K], V]) -> Entry[V]:
        """The entry of *key*, made by *build* if there is none; in use until it is given back."""
        entry = self._entries.get(key)
        self._now = now = self._now + 1
        if entry is not None:
            entry.users += 1
            entry.stamp = now
            return entry
        self._misses.value += 1
        has_room = self._has_room()
        entry = Entry(build(key), -now)  # after the room was made: what was closed freed more below
        if has_room:
            self._entries[key] = entry
        else:
            self._oneshots.value += 1
            entry.is_cached = False
        return entry

    def give(self, entry: Entry[V]) -> None:
        """End one use of *entry*."""
        entry.users -= 1
        if not entry.is_cached:
            self.release(entry)

    def release(self, entry: Entry[V]) -> None:
        """Close *entry*, which is no longer cached, if this was its last use."""
        if not entry.users:
            entry.value.close()

    def sweep(self) -> None:
        """Close what was idle since the last sweep; call once each idle period.

        The least idle entry stays, so a cache never empties by itself.
        """
        self._now += 1
        before, self._swept = self._swept, self._now
        idle: list[tuple[int, K]] = []
        for key, entry in self._entries.items():
            if entry.users:
                entry.stamp = self._now
            elif abs(entry.stamp) < before:
                idle.append((abs(entry.stamp), key))
        if idle and len(idle) == len(self._entries):
            idle.remove(max(idle, key=_stamp))
        for _, key in idle:
            self._expires.value += 1
            self._close(key)

    def close(self) -> None:
        """Close every value, those in use at the end of their use; keep none from now on."""
        self._is_closed = True
        self.drop(lambda _: True)

    def drop(self, is_stale: Callable[[K], bool]) -> None:
        """Close the values of the stale keys, those in use at the end of their use."""
        for key in [key for key in self._entries if is_stale(key)]:
            self._close(key)

    def values(self) -> list[V]:
        """The values now cached."""
        return [entry.value for entry in self._entries.values()]

    def _has_room(self) -> bool:
        if self._is_closed:
            return False
        return not self.capacity or len(self._entries) < self.capacity or self._make_room()

    def _make_room(self) -> bool:
        """Close the idlest entry, one used only once first; whether any was idle."""
        idle = [(entry.stamp, key) for key, entry in self._entries.items() if not entry.users]
        if not idle:
            return False
        once = next((key for stamp, key in idle if stamp < 0), None)
        self._evicts.value += 1
        self._close(min(idle, key=_stamp)[1] if once is None else once)
        return True

    def _close(self, key: K) -> None:
        entry = self._entries.pop(key)
        if entry.users:
            entry.is_cached = False
        else:
            entry.value.close()


def _stamp(pair: tuple[int, object]) -> int:
    return pair[0]
