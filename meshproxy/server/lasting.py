"""Conversations that go on without a greenlet, which would cost more than an idle session."""

from collections.abc import Callable

from gevent.event import Event

from meshproxy.server.protocol import Lasting


class LastingConversations:
    """Those of one listener."""

    def __init__(self) -> None:
        self._open: set[Lasting] = set()
        self._none_left = Event()
        self._none_left.set()

    def keep(self, lasting: Lasting, *callbacks: Callable[[], None]) -> None:
        """Keeps *lasting* until its end, and then calls each of *callbacks*."""

        def end() -> None:
            self._open.remove(lasting)
            for callback in callbacks:
                callback()
            if not self._open:
                self._none_left.set()

        self._open.add(lasting)
        self._none_left.clear()
        lasting.on_end = end

    def wait(self, seconds: float) -> bool:
        """Returns True once all have ended; False if they have not within *seconds*."""
        return bool(self._none_left.wait(max(seconds, 0.0)))

    def cut(self) -> None:
        """Ends them all at once."""
        for lasting in list(self._open):
            lasting.cut()
