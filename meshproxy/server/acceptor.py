"""Accepts connections while there is room, and leaves clients in the backlog otherwise."""

import logging
from collections.abc import Callable

import gevent.socket
from gevent.server import StreamServer

from meshproxy.metrics.instruments import Counter

_log = logging.getLogger(__name__)
_REST_SECONDS = 0.1
"""From one accept that failed to the next try."""


class Acceptor(StreamServer):  # type: ignore[misc] # gevent has no types
    """Accepts until it is full, and again when told to go on.

    When one cannot be accepted (EMFILE and the like) it rests for a while; gevent would print a
    traceback for each try.
    """

    is_full: Callable[[], bool]
    failures: Counter
    _is_failing = False
    _rest: object = None

    def full(self) -> bool:
        """Whether to leave clients in the backlog."""
        return self.is_full()

    def resume(self) -> None:
        """Accept again, unless closed."""
        if self.started:
            self.start_accepting()

    def do_read(self) -> tuple[gevent.socket.socket, tuple[str, int]] | None:
        """Accept one connection; None when there is none to be had."""
        try:
            accepted = super().do_read()
        except OSError as error:
            if self.is_fatal_error(error):
                raise
            self._put_off(error)
            return None
        self._is_failing = False
        return accepted  # type: ignore[no-any-return]

    def _put_off(self, error: OSError) -> None:
        self.failures.value += 1
        if not self._is_failing:
            self._is_failing = True
            host, port = self.address[:2]
            _log.error("%s port %d: cannot accept, will try again: %s", host, port, error)
        self.stop_accepting()
        self._rest = timer = self.loop.timer(_REST_SECONDS)
        timer.start(self._start_accepting_if_started)
