"""Which namespaces exist: names come from clients, who can make up as many as they like.

The API returns an empty list for a namespace that does not exist, as for an empty one. So a
namespace is watched once it has had an object or is in the list of namespaces, which is requested
when one is found empty. Until then, or if that list is forbidden, it is listed again now and then,
all such namespaces together at a bounded rate.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from meshproxy.discovery.k8s.table import Table
from meshproxy.var import PENDING, Ok, State

MAX_LISTS: Final = 8
"""Namespaces that may not exist and are listed at the same time."""
SPACING_S: Final = 0.2
"""Average pause between two lists of such namespaces."""

T = TypeVar("T")


class Namespaces:
    """The namespaces of one API server, followed in *table* while something waits for one."""

    def __init__(
        self, table: Table[str], empty_s: float, sleep: Callable[[float], None] = gevent.sleep
    ) -> None:
        self.turns = BoundedSemaphore(MAX_LISTS)
        self._table = table
        self._empty_s = empty_s
        self._sleep = sleep
        self._waiting = 0

    def have(self, name: str) -> bool | None:
        """Returns True if *name* exists; None while that is unknown."""
        known = self._table.known(name)
        return None if known is None else bool(known)

    def wait_for(self, name: str) -> bool:
        """Waits until *name* exists or, while that is unknown, for a pause.

        Returns True if it exists.
        """
        state: State[tuple[str, ...] | None] = PENDING
        changed = Event()

        def take(now: State[tuple[str, ...] | None]) -> None:
            nonlocal state
            state = now
            changed.set()

        self._waiting += 1
        close = self._table.follow(name, take)
        try:
            while not (isinstance(state, Ok) and state.value):
                changed.clear()
                is_lacking = isinstance(state, Ok)
                if not changed.wait(None if is_lacking else self._at_least(self._empty_s)):
                    return False
            return True
        finally:
            close()
            self._waiting -= 1

    def pause(self, seconds: float) -> None:
        """Sleeps for *seconds*, or longer if many wait."""
        self._waiting += 1
        try:
            self._sleep(self._at_least(seconds))
        finally:
            self._waiting -= 1

    def _at_least(self, seconds: float) -> float:
        return max(seconds, self._waiting * SPACING_S)


class Claim:
    """A name's claim that a namespace exists; *namespaces* is None if the operator makes it."""

    def __init__(self, name: str, namespaces: Namespaces | None = None) -> None:
        self._name = name
        self._doubted_by = namespaces
        self._is_empty = False

    def list_in_turn(self, list_all: Callable[[], T]) -> T | None:
        """Returns the result of *list_all*, or None if the namespace does not exist."""
        if self._doubted_by is None:
            return list_all()
        with self._doubted_by.turns:
            return None if self._doubted_by.have(self._name) is False else list_all()

    def is_proven(self, *, is_empty: bool) -> bool:
        """Returns True if the namespace, whose list *is_empty*, is known to exist."""
        self._is_empty = is_empty
        if self._doubted_by is not None and (not is_empty or self._doubted_by.have(self._name)):
            self._doubted_by = None
        return self._doubted_by is None

    def pause(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Waits before it is listed again: for *seconds*, or longer while it is in doubt."""
        if self._doubted_by is None:
            sleep(seconds)
        elif not self._is_empty:
            self._doubted_by.pause(seconds)
        elif self._doubted_by.wait_for(self._name):
            self._doubted_by = None
