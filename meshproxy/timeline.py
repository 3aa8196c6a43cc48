"""The latest events of this process, for operators who ask what changed.

Noted where they happen; requests are not among them: endpoints marked dead and alive again,
addresses that came and went, discovery that fails, reloads, workers, operators.
"""

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple

MAX_EVENTS: Final = 200
"""Events kept of each kind; many of one kind displace none of another."""
MAX_TEXT: Final = 300
"""Characters of a text that are kept."""


class Kind(StrEnum):
    """The subject of an event."""

    BREAKER = "breaker"
    """An endpoint was marked dead, or works again."""
    ADDRESSES = "addresses"
    """Discovery changed the addresses of a client."""
    DISCOVERY = "discovery"
    """A discovery system fails, or answers again."""
    RELOAD = "reload"
    WORKER = "worker"
    OPERATOR = "operator"
    """An operator changed something on the admin pages."""


class Event(NamedTuple):
    """One event."""

    at: float
    """Seconds since 1970."""
    kind: Kind
    subject: str
    """What it happened to, such as `10.0.0.1:80 of /#/io.l5d.fs/web`."""
    text: str
    until: float | None = None
    """When its effect ends, in seconds since 1970, if known."""

    def plain(self) -> dict[str, Any]:
        """Returns it as a JSON value."""
        return self._asdict()


class Timeline:
    """The latest events of each kind."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: dict[Kind, deque[Event]] = {kind: deque(maxlen=MAX_EVENTS) for kind in Kind}

    def note(self, kind: Kind, subject: str, text: str, lasts_s: float | None = None) -> None:
        """Adds an event of this moment, whose effect lasts *lasts_s* seconds if that is known."""
        now = self._now()
        until = None if lasts_s is None else now + lasts_s
        event = Event(now, kind, subject[:MAX_TEXT], text[:MAX_TEXT], until)
        self._kept[kind].append(event)

    def events(self) -> list[Event]:
        """Returns the events of all kinds, the latest first."""
        found = [event for kept in self._kept.values() for event in reversed(kept)]
        return sorted(found, key=attrgetter("at"), reverse=True)


timeline: Final = Timeline()
"""That of this process."""
