"""Accepts connections while there is room; otherwise clients wait in the backlog."""

import logging
from collections.abc import Callable

import gevent.socket
from gevent.server import StreamServer

from meshproxy.metrics.instruments import Counter

_log = logging.getLogger(__name__)
_REST_SECONDS = 0.1
"""Pause after an accept that failed or found no room."""


class Acceptor(StreamServer):  # type: ignore[misc] # gevent has no types
    """Accepts connections until the listener is full, and again after `resume`.

    While it is full and a client waits, it asks for room ten times a second. Each accepted socket
    is offered to `admits`, which may refuse it. If accepting fails (EMFILE and the like), it pauses
    for a while, where gevent would print a traceback for each try.
    """

    is_full: Callable[[], bool]
    make_room: Callable[[], None]
    admits: Callable[[gevent.socket.socket], bool]
    failures: Counter
    _is_failing = False
    _has_rested = False
    """True if a pause is over, so that room is made for a client that still waits."""
    _rest: object = None

    def full(self) -> bool:
        """Returns True if clients have to wait in the backlog."""
        if not self.is_full():
            return False
        if self._has_rested:
            self.make_room()
        self._rest_a_while()
        return True

    def resume(self) -> None:
        """Accepts again, unless closed."""
        if self.started:
            self.start_accepting()

    def do_read(self) -> tuple[gevent.socket.socket, tuple[str, int]] | None:
        """Accepts one connection. Returns None if there is none."""
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

    def do_handle(self, *accepted: object) -> None:
        """Has an accepted socket served, and closed by the code that serves it."""
        self._spawn(self._handle, *accepted)

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
