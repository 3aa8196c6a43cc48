"""Access logs of several workers: all append to them, one process empties and rolls them.

A worker notices at the next write that its file was moved, as it does after logrotate.
"""

import logging
from typing import Final

import gevent

from meshproxy.config.rolling import LogSettings, RollPolicy
from meshproxy.config.schema import LinkerConfig
from meshproxy.server.log_file import LogFile

_log = logging.getLogger(__name__)
_INTERVAL_S: Final = 1.0
"""A file may exceed its size by what is logged in this time."""


class LogRolling:
    """Rolls log files, and empties those that are not appended to."""

    def __init__(self) -> None:
        self._files: dict[LogSettings, LogFile] = {}
        self._failing: set[LogFile] = set()
        self._greenlet: gevent.Greenlet | None = None

    def follow(self, config: LinkerConfig) -> None:
        """Takes care of the files of *config*; empties new ones unless they are appended to."""
        before = self._files
        self._files = {
            settings: before.get(settings) or LogFile.of(settings)
            for router in config.routers
            if (settings := router.access_log) is not None and _has_work(settings)
        }
        for settings in before.keys() - self._files.keys():
            before[settings].close()
        self._roll_due()
        if self._greenlet is None and self._files:
            self._greenlet = gevent.spawn(self._roll_often)

    def close(self) -> None:
        """Stops."""
        if self._greenlet is not None:
            self._greenlet.kill()
        for file in self._files.values():
            file.close()

    def _roll_often(self) -> None:
        while True:
            gevent.sleep(_INTERVAL_S)
            self._roll_due()

    def _roll_due(self) -> None:
        for file in list(self._files.values()):
            error = gevent.get_hub().threadpool.apply(file.roll_if_due)
            if error is None:
                self._failing.discard(file)
            elif file not in self._failing:
                self._failing.add(file)
                _log.warning("log %s cannot be rolled: %s", file.path, error)


def _has_work(settings: LogSettings) -> bool:
    return settings.policy != RollPolicy() or not settings.append
