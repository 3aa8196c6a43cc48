"""Access logs of several workers: all append, one process empties and rolls the files.

A worker notices that its file was moved by the next write, as it does after logrotate.
"""

import logging
from typing import Final

import gevent

from meshproxy.config.rolling import RollPolicy, roll_policy
from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.server.log_file import LogFile

_log = logging.getLogger(__name__)
_INTERVAL_S: Final = 1.0
"""A file may outgrow its size by what is logged in this time."""


class LogRolling:
    """Looks after the log files of *config* that are to be rolled, or emptied at the start."""

    def __init__(self, config: LinkerConfig) -> None:
        self._files = [
            LogFile(
                router.http_access_log,
                roll_policy(router.http_access_log_roll_policy),
                append=router.http_access_log_append,
                keep=router.http_access_log_rotate_count,
            )
            for router in config.routers
            if isinstance(router, HttpRouterConfig) and router.http_access_log and _has_work(router)
        ]
        self._failing: set[LogFile] = set()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Empty what is to be emptied, before any worker writes, and go on in the background."""
        if self._files:
            self._roll_due()
            self._greenlet = gevent.spawn(self._roll_often)

    def close(self) -> None:
        """Stop."""
        if self._greenlet is not None:
            self._greenlet.kill()
        for file in self._files:
            file.close()

    def _roll_often(self) -> None:
        while True:
            gevent.sleep(_INTERVAL_S)
            self._roll_due()

    def _roll_due(self) -> None:
        for file in self._files:
            error = gevent.get_hub().threadpool.apply(file.roll_if_due)
            if error is None:
                self._failing.discard(file)
            elif file not in self._failing:
                self._failing.add(file)
                _log.warning("log %s cannot be rolled: %s", file.path, error)


def _has_work(router: HttpRouterConfig) -> bool:
    rolls = roll_policy(router.http_access_log_roll_policy) != RollPolicy()
    return rolls or not router.http_access_log_append
