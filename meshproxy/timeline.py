"""What has happened to this process lately, for whoever asks what changed.

Written where things happen, none of which is a request: endpoints marked dead and alive again,
addresses that came and went, discovery that fails, reloads, workers, operators.
"""

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple

MAX_EVENTS: Final = 200
"""Events kept of each kind, so that many of one kind drop none of another."""
MAX_TEXT: Final = 300
"""Characters of a text that are kept."""


class Kind(StrEnum):
    """What an event is about."""

    BREAKER = "breaker"
    """An endpoint was marked dead, or works again."""
    ADDRESSES = "addresses"
    """Discovery changed the addresses of a client."""
    DISCOVERY = "discovery"
    """A discovery system fails, or answers again."""
    RELOAD = "reload"
    WORKER = "worker"
    OPERATOR = "operator"
    """Somebody changed something on the admin pages."""


class Event(NamedTuple):
    """Something that happened."""

    at: float
    """Seconds since 1970."""
    kind: Kind
    subject: str
    """What it happened to, such as `10.0.0.1:80 of /#/io.l5d.fs/web`."""
    text: str
    until: float | None = None
    """When it will be over, in seconds since 1970, if that is known."""

    def plain(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return self._asdict()


class Timeline:
    """The latest events of each kind."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: dict[Kind, deque[Event]] = {kind: deque(maxlen=MAX_EVENTS) for kind in Kind}

    def note(self, kind: Kind, subject: str, text: str, lasts_s: float | None = None) -> None:
        """Adds an event that happens now, and is over after *lasts_s* seconds if that is known."""
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
