"""The descriptors of the process, shared out so that there is always one left to say no with.

A new descriptor has the lowest number that is free (open(2)), so its number tells how many are
open, and nothing needs to be counted. Whoever gets one beyond his share gives it back, unless there
are others that nobody needs at the moment.
"""

import contextlib
import resource
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol
from weakref import WeakSet

CLIENTS: Final = 0.8
"""Up to this share of all, connections of clients are taken."""
ENDPOINTS: Final = 0.9
"""Connections to endpoints may take so many, or no request could be served."""
ADMIN: Final = 0.95
"""The admin server too; the rest is for files, for DNS, and for saying no."""
_AT_ONCE: Final = 0.01
"""Of all, so many spare ones are closed together."""
_REST_SECONDS: Final = 0.1
"""From a look that found nothing spare to the next one."""


class Spare(Protocol):
    """Holds descriptors that nobody needs at the moment."""

    def let_go(self, most: int) -> int:
        """Closes *most* of them, or all; returns how many."""
        ...


class Spares:
    """Those who hold spare descriptors, for as long as they live."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._holders: WeakSet[Spare] = WeakSet()
        self._rests_until = 0.0

    def add(self, holder: Spare) -> None:
        """Lets *holder* be asked when there are too few."""
        self._holders.add(holder)

    def make_room(self) -> bool:
        """Closes some, at most a hundredth of all; returns False if none was to be had."""
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
"""Those of this process."""


def allowed() -> int | None:
    """Returns how many the process may have (RLIMIT_NOFILE); None if there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_allowed() -> tuple[int | None, int | None]:
    """Allows the process as many as the system lets it; returns the limit before and after."""
    before = allowed()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system may say no to its own hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, allowed()


def is_beyond(share: float, number: int) -> bool:
    """Returns True if the new descriptor *number* is beyond *share* of all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return number >= soft * share and soft != resource.RLIM_INFINITY
