"""Accepts connections while there is room, and leaves clients in the backlog otherwise."""

import logging
from collections.abc import Callable

import gevent.socket
from gevent.server import StreamServer

from meshproxy.metrics.instruments import Counter

_log = logging.getLogger(__name__)
_REST_SECONDS = 0.1
"""From an accept that failed, or found no room, to the next try."""


class Acceptor(StreamServer):  # type: ignore[misc] # gevent has no types
    """Accepts until it is full, and again when told to go on.

    While it is full and a client waits, it asks for room every 0.1 s. One that it accepts is shown
    to `admits`, which may keep it for itself. When none can be accepted (EMFILE and the like) it
    rests for a while; gevent would print a traceback for each try.
    """

    is_full: Callable[[], bool]
    make_room: Callable[[], None]
    admits: Callable[[gevent.socket.socket], bool]
    failures: Counter
    _is_failing = False
    _has_rested = False
    """The next look is due to a client that waits."""
    _rest: object = None

    def full(self) -> bool:
        """Whether to leave clients in the backlog."""
        if not self.is_full():
            return False
        if self._has_rested:
            self.make_room()
        self._rest_a_while()
        return True

    def resume(self) -> None:
        """Accept again, unless closed."""
        if self.started:
            self.start_accepting()

    def do_read(self) -> tuple[gevent.socket.socket, tuple[str, int]] | None:
        """Accept one connection; None when there is none to be had."""
        self._has_rested = False
        try:
            accepted = super().do_read()
        except OSError as error:
            if self.is_fatal_error(error):
                raise
            self._put_off(error)
            return None
        self._is_failing = False
        return accepted if accepted is not None and self.admits(accepted[0]) else None

    def _put_off(self, error: OSError) -> None:
        self.failures.value += 1
        if not self._is_failing:
            self._is_failing = True
            host, port = self.address[:2]
            _log.error("%s port %d: cannot accept, will try again: %s", host, port, error)
        self.stop_accepting()
        self._rest_a_while()

    def _rest_a_while(self) -> None:
        self._rest = timer = self.loop.timer(_REST_SECONDS)
        timer.start(self._go_on)

    def _go_on(self) -> None:
        self._has_rested = True
        self._start_accepting_if_started()
