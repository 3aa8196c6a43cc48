"""What is known of the services of one namespace, by name, kept up by one list+watch.

All lookups of all namers on the same API share it: a name nobody has heard of costs nothing.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

import gevent

from meshproxy.discovery.k8s.objects import Entry
from meshproxy.var import PENDING, Close, Ok, State

T = TypeVar("T")

Values = tuple[T, ...]
Emit = Callable[[State[Values[T] | None]], None]


class Feed(Protocol):
    """What keeps a table up to date while it is in use."""

    def start(self) -> None:
        """Begin, without blocking."""

    def close(self) -> None:
        """End, without blocking."""


class Table(Generic[T]):
    """An index of API objects by the service they speak of.

    It works while somebody observes one of its entries. What it knew before is kept for the
    next time, to be used if the API cannot be reached then.
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
        """Called when nobody observes any more."""
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
        """Nobody observes."""
        return not self._emits

    @property
    def is_empty(self) -> bool:
        """There are no objects, as far as is known."""
        return not self._entries

    def known(self, owner: str) -> Values[T] | None:
        """Return what the objects of *owner* say; None while nobody observes or nothing came."""
        state = PENDING if self.is_idle else self._state(owner)
        return state.value if isinstance(state, Ok) else None

    def follow(self, owner: str, emit: Emit[T], patience_s: float | None = None) -> Close:
        """Tell *emit* what the objects of *owner* say now and on every change, none of them: `()`.

        None when no list has ever succeeded in *patience_s* seconds, counted from the first use
        of this table; for ever pending without. The result ends it.
        """
        key = object()
        if self.is_idle:
            self._is_current = False
            self._feed.start()
        if self._first_use is None:
            self._first_use = self._now()
        self._emits.setdefault(owner, {})[key] = emit
        emit(self._state(owner))
        timer = self._give_up_after(patience_s, emit)

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
        """Take *entries* for all there is; what is not among them is gone."""
        self._entries = {}
        self._owned = {}
        for entry in {entry.name: entry for entry in entries}.values():
            self._add(entry)
        self._is_current = True
        self.listed_at = self._now()
        self._tell(*self._emits)

    def put(self, entry: Entry[T]) -> None:
        """Take in one object, new or changed."""
        before = self._entries.get(entry.name)
        if before is not None:
            self._drop(before)
        self._add(entry)
        self._tell(*{entry.owner, before.owner if before else entry.owner})

    def remove(self, name: str) -> None:
        """Forget one object."""
        before = self._entries.get(name)
        if before is not None:
            self._drop(before)
            self._tell(before.owner)

    def make_do(self) -> None:
        """Use what was known before, since the API does not answer now."""
        if self.listed_at is not None and not self._is_current:
            self._is_current = True
            self._tell(*self._emits)

    def _give_up_after(self, patience_s: float | None, emit: Emit[T]) -> gevent.Greenlet | None:
        if patience_s is None or self.listed_at is not None or self._first_use is None:
            return None
        self._waited_s = max(self._waited_s, self._now() - self._first_use)

        def give_up() -> None:
            self._waited_s = max(self._waited_s, patience_s)
            if self.listed_at is None:
                emit(Ok(None))

        if self._waited_s < patience_s:
            return gevent.spawn_later(patience_s - self._waited_s, give_up)
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
