"""The known services of one namespace, by name, kept up to date by one list+watch.

All lookups of all namers of one API share it, so a name that does not exist costs nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import gevent

from meshproxy.discovery.k8s.objects import Entry
from meshproxy.naming.followed import Followed
from meshproxy.var import PENDING, Close, Ok, State
from meshproxy.wording import moment

T = TypeVar("T")

Values = tuple[T, ...]
Emit = Callable[[State[Values[T] | None]], None]


@dataclass(slots=True)
class Times:
    """When something happened to a list and its watch, in seconds since 1970; 0 for never."""

    listed: float = 0.0
    stream_start: float = 0.0
    stream_data: float = 0.0
    stream_end: float = 0.0
    failing_since: float = 0.0


class Feed(Protocol):
    """Keeps a table up to date while it is in use."""

    @property
    def times(self) -> Times:
        """Times of its list and watch."""
        ...

    @property
    def failure(self) -> str:
        """Why it does not work now; empty if it does."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns its last requests and the times of their answers, as JSON."""
        ...

    def start(self) -> None:
        """Begins, without blocking."""

    def close(self) -> None:
        """Ends, without blocking."""


class Table(Generic[T]):
    """An index of API objects by the service that they belong to.

    It works while one of its entries is observed. Afterwards the contents are kept, to be used if
    the API cannot be reached the next time.
    """

    def __init__(
        self,
        feed: "Callable[[Table[T]], Feed]",
        now: Callable[[], float],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._feed = feed(self)
        self._now = now
        self._rest = rest
        """Called when it is no longer observed."""
        self._entries: dict[str, Entry[T]] = {}
        self._owned: dict[str, dict[str, Entry[T]]] = {}
        self._emits: dict[str, dict[object, Emit[T]]] = {}
        self._is_current = False
        self._first_use: float | None = None
        self._waited_s = 0.0
        self.listed_at: float | None = None
        """When the last complete list arrived, on the clock of *now*."""

    @property
    def is_idle(self) -> bool:
        """True if it is not observed."""
        return not self._emits

    @property
    def is_empty(self) -> bool:
        """True if no objects are known."""
        return not self._entries

    def describe(self) -> dict[str, Any]:
        """Returns what is known, and how it was learned, as JSON (linkerd: InstrumentedVar)."""
        return {
            "state": {
                "running": not self.is_idle,
                "lastUpdatedAt": moment(max(self._feed.times.listed, self._feed.times.stream_data)),
                "value": {
                    "objects": len(self._entries),
                    "followed": {name: len(self._owned.get(name, ())) for name in self._emits},
                },
            },
            "watch": self._feed.describe(),
        }

    def followed(self, name: str) -> Followed:
        """Returns a short description of the state, under *name*."""
        times = self._feed.times
        answered_at = max(times.listed, times.stream_data)
        answer = f"{len(self._entries)} objects" if answered_at else ""
        return Followed(name, answer, answered_at, self._feed.failure, times.failing_since)

    def owners(self) -> Iterable[tuple[str, Values[T]]]:
        """Yields each service that has objects, with their contents."""
        for owner, owned in list(self._owned.items()):
            yield owner, tuple(value for entry in owned.values() for value in entry.values)

    def known(self, owner: str) -> Values[T] | None:
        """Returns what the objects of *owner* contain; None if not observed or not listed yet."""
        state = PENDING if self.is_idle else self._state(owner)
        return state.value if isinstance(state, Ok) else None

    def follow(self, owner: str, emit: Emit[T], fallback_s: float | None = None) -> Close:
        """Calls *emit* with what the objects of *owner* contain, now and on every change.

        That is `()` for no objects, and None if no list has succeeded within *fallback_s* seconds
        of the first use of this table; without it, the state stays pending. The result ends it.
        """
        key = object()
        if self.is_idle:
            self._is_current = False
            self._feed.start()
        if self._first_use is None:
            self._first_use = self._now()
        self._emits.setdefault(owner, {})[key] = emit
        emit(self._state(owner))
        timer = self._give_up_after(fallback_s, emit)

        def close() -> None:
            if timer is not None:
                timer.kill(block=False)
            del self._emits[owner][key]
            if not self._emits[owner]:
                del self._emits[owner]
            if self.is_idle:
                self._feed.close()
                self._rest()

        return close

    def replace(self, entries: Iterable[Entry[T]]) -> None:
        """Replaces all objects with *entries*."""
        self._entries = {}
        self._owned = {}
        for entry in {entry.name: entry for entry in entries}.values():
            self._add(entry)
        self._is_current = True
        self.listed_at = self._now()
        self._tell(*self._emits)

    def put(self, entry: Entry[T]) -> None:
        """Adds or replaces one object."""
        before = self._entries.get(entry.name)
        if before is not None:
            self._drop(before)
        self._add(entry)
        self._tell(*{entry.owner, before.owner if before else entry.owner})

    def remove(self, name: str) -> None:
        """Removes one object."""
        before = self._entries.get(name)
        if before is not None:
            self._drop(before)
            self._tell(before.owner)

    def use_last_known(self) -> None:
        """Uses the contents known before, since the API cannot be reached."""
        if self.listed_at is not None and not self._is_current:
            self._is_current = True
            self._tell(*self._emits)

    def _give_up_after(self, fallback_s: float | None, emit: Emit[T]) -> gevent.Greenlet | None:
        if fallback_s is None or self.listed_at is not None or self._first_use is None:
            return None
        self._waited_s = max(self._waited_s, self._now() - self._first_use)

        def give_up() -> None:
            self._waited_s = max(self._waited_s, fallback_s)
            if self.listed_at is None:
                emit(Ok(None))

        if self._waited_s < fallback_s:
            return gevent.spawn_later(fallback_s - self._waited_s, give_up)
        give_up()
        return None

    def _tell(self, *owners: str) -> None:
        for owner in owners:
            emits = self._emits.get(owner)
            if emits:
                state = self._state(owner)
                for emit in tuple(emits.values()):
                    emit(state)

    def _state(self, owner: str) -> State[Values[T] | None]:
        if not self._is_current:
            return PENDING
        owned = self._owned.get(owner, {})
        return Ok(tuple(value for name in sorted(owned) for value in owned[name].values))

    def _add(self, entry: Entry[T]) -> None:
        self._entries[entry.name] = entry
        self._owned.setdefault(entry.owner, {})[entry.name] = entry

    def _drop(self, entry: Entry[T]) -> None:
        del self._entries[entry.name]
        owned = self._owned[entry.owner]
        del owned[entry.name]
        if not owned:
            del self._owned[entry.owner]
