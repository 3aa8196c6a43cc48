"""A lazy timing wheel: ends every wait on a stream for one comparison per request.

An entry keeps its own `deadline` and may change it at will; the wheel checks the entry in the slot
it was filed under, and files it again if the deadline is later. That costs far less than starting
and stopping a gevent.Timeout.
"""

import math
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from gevent import get_hub

TICK = 0.05
"""Seconds between two checks: a deadline fires at most this much late."""


class Timed(Protocol):
    """An entry of the wheel."""

    deadline: float
    """Monotonic second at which `expire` is due."""
    filed_until: float
    """The deadline under which it is filed; infinity while it is not."""

    @property
    def expire(self) -> Callable[[], object]:
        """The callback, called in the hub after the deadline; must not raise."""
        ...


class Alarm:
    """An entry that calls *expire* once its deadline has passed."""

    __slots__ = ("deadline", "expire", "filed_until")

    def __init__(self, deadline: float, expire: Callable[[], object]) -> None:
        self.deadline = deadline
        self.filed_until = math.inf
        self.expire = expire


class Wheel:
    """Entries by the slot of their deadline."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._turned = 0
        self._timer: Any = None

    def file(self, entry: Timed) -> None:
        """Files *entry* under its deadline; to be called if that is before `filed_until`."""
        self.forget(entry)
        if self._timer is None:
            self._turned = int(monotonic() / TICK)
            self._timer = get_hub().loop.timer(TICK, TICK, ref=False)
            self._timer.start(self._turn)
        entry.filed_until = max(entry.deadline, (self._turned + 0.5) * TICK)
        self._slots.setdefault(_slot(entry.filed_until), set()).add(entry)

    def forget(self, entry: Timed) -> None:
        """Removes *entry*; harmless if it is not filed."""
        if entry.filed_until < math.inf:
            slot = _slot(entry.filed_until)
            entry.filed_until = math.inf
            entries = self._slots[slot]
            entries.remove(entry)
            if not entries:
                del self._slots[slot]

    def _turn(self) -> None:
        now = monotonic()
        current = int(now / TICK)
        while self._turned < current:
            self._turned += 1  # first, so that nothing is filed under a slot already checked
            entries = self._slots.get(self._turned)
            while entries:
                entry = entries.pop()
                entry.filed_until = math.inf
                if entry.deadline <= now:
                    entry.expire()
                elif entry.deadline < math.inf:
                    self.file(entry)
            self._slots.pop(self._turned, None)


def _slot(deadline: float) -> int:
    return int(deadline / TICK) + 1


wheel = Wheel()
"""The only wheel of this process, as there is one hub."""
