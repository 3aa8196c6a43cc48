"""A greenlet that waits for a stream of a session, and is switched to after a read."""

from typing import TYPE_CHECKING

from gevent import get_hub, getcurrent
from greenlet import greenlet

from meshproxy.net.stream import StreamTimeout
from meshproxy.net.wheel import wheel

if TYPE_CHECKING:
    from meshproxy.net.h2.session import H2Session


_NONE: tuple[str, ...] = ()
"""The slots are those of subclasses, of which some have another base with slots too."""


class Waiting:
    """What a wait needs, and what the wheel and `net.stream.wait_either` use of it.

    A subclass has the three slots, and sets them to None and twice infinity.
    """

    __slots__ = _NONE

    _waiter: greenlet | None
    deadline: float
    filed_until: float

    def wait(self, deadline: float) -> None:
        """Waits until `resume_soon`. Raises StreamTimeout at monotonic second *deadline*."""
        self.deadline = deadline
        if deadline < self.filed_until:
            wheel.file(self)
        self._waiter = getcurrent()
        try:
            self._switch()
        finally:
            self._waiter = None

    def resume_soon(self, session: "H2Session") -> None:
        """Switches to the greenlet that waits, if any, after what *session* is reading now."""
        if self._waiter is not None:
            session.soon(self._resume)

    def expire(self) -> None:
        """Ends a wait that has taken too long. For the hub only."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.throw(StreamTimeout)

    def _switch(self) -> None:
        get_hub().switch()

    def _disarm(self) -> None:
        """Does nothing: nothing is watched here."""

    def _resume(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch()
