"""Shares of the process's descriptors, so that one is always left to refuse a connection with.

A new descriptor has the lowest free number (open(2)), so its number shows how many are open and
nothing needs to be counted. A connection beyond its share is closed at once, unless descriptors
that are not in use can be closed instead.
"""

import contextlib
import resource
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol
from weakref import WeakSet

CLIENTS: Final = 0.8
"""Share of all descriptors up to which connections of clients are accepted."""
ENDPOINTS: Final = 0.9
"""Share for connections to endpoints: larger, or no request could be served."""
ADMIN: Final = 0.95
"""Share for the admin server; the rest is for files, DNS, and refusing connections."""
_AT_ONCE: Final = 0.01
"""Share of all descriptors that is closed at once if they are not in use."""
_REST_SECONDS: Final = 0.1
"""Wait after a search that found nothing to close."""


class Spare(Protocol):
    """Holds descriptors that are not in use at the moment."""

    def let_go(self, most: int) -> int:
        """Closes up to *most* of them and returns how many."""
        ...


class Spares:
    """The holders of descriptors that are not in use, as long as they live."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._holders: WeakSet[Spare] = WeakSet()
        self._rests_until = 0.0

    def add(self, holder: Spare) -> None:
        """Registers *holder*, to be asked when descriptors run out."""
        self._holders.add(holder)

    def make_room(self) -> bool:
        """Closes some, at most a hundredth of all. Returns False if there were none to close."""
        now = self._now()
        if now < self._rests_until:
            return False
        wanted = left = max(1, int((allowed() or 0) * _AT_ONCE))
        for holder in list(self._holders):
            left -= holder.let_go(left)
            if left <= 0:
                return True
        if left == wanted:
            self._rests_until = now + _REST_SECONDS
        return left < wanted


spares: Final = Spares()
"""The holders of this process."""


def allowed() -> int | None:
    """Returns how many descriptors the process may have (RLIMIT_NOFILE); None if unlimited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_allowed() -> tuple[int | None, int | None]:
    """Raises the limit as far as the system allows; returns the limit before and after."""
    before = allowed()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system may refuse its own hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, allowed()


def is_beyond(share: float, number: int) -> bool:
    """Returns True if the new descriptor *number* is beyond *share* of all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return number >= soft * share and soft != resource.RLIM_INFINITY
