"""Writes lines to a log file in the background, so that no request waits for a disk."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent
from gevent.event import Event

from meshproxy.metrics.tree import Tree
from meshproxy.server.log_file import LogFile

_P = ParamSpec("_P")
_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_QUEUE_BYTES = 8 * 1024 * 1024
_PAUSE_SECONDS = 0.1
"""Seconds between two writes, so that many lines share one."""
_LAST_SECONDS = 2.0


class LogWriter:
    """Queues lines, at most 8 MiB of them, for *file*; lost ones are counted in `failures`."""

    def __init__(self, file: LogFile, metrics: Tree, queue_bytes: int = _QUEUE_BYTES) -> None:
        self._file = file
        self._failures = metrics.counter("failures")
        self._queue_bytes = queue_bytes
        self._lines: list[bytes] = []
        self._size = 0
        self._wake = Event()
        self._closing = Event()
        self._wants_reopen = False
        self._is_failing = False
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Opens the file and begins to write."""
        self._wake.set()
        self._greenlet = gevent.spawn(self._run)

    def write(self, line: bytes) -> None:
        """Queues *line*, or drops it if the queue is full; never waits."""
        size = self._size + len(line)
        if size > self._queue_bytes:
            self._lost(1, "lines come faster than they can be written")
            return
        if not self._lines:
            self._wake.set()
        self._lines.append(line)
        self._size = size

    def reopen(self) -> None:
        """Closes the file and opens it by its name again, after it was moved aside."""
        self._wants_reopen = True
        self._wake.set()

    def close(self) -> None:
        """Writes what is queued, for at most 2 s, and closes the file; later lines are lost."""
        self._closing.set()
        self._wake.set()
        if self._greenlet is not None:
            self._greenlet.join(_LAST_SECONDS)
            self._greenlet.kill()
        self._queue_bytes = 0

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._write_waiting()
            self._closing.wait(_PAUSE_SECONDS)
        self._write_waiting()
        _in_thread(self._file.close)

    def _write_waiting(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if self._wants_reopen:
            self._wants_reopen = False
            _in_thread(self._file.close)
        lost, error = _in_thread(self._file.write, lines)
        if error is not None:
            self._lost(lost, str(error))
        elif self._is_failing and lines:
            self._is_failing = False
            _log.info("log %s is written again", self._file.path)

    def _lost(self, lines: int, why: str) -> None:
        """Counts *lines* as lost, and logs that once until writing works again."""
        self._failures.value += lines
        if not self._is_failing:
            self._is_failing = True
            _log.warning("log %s: %s; counted in access_log/failures", self._file.path, why)


def _in_thread(work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
    """Calls *work* in a thread of the hub while other greenlets run."""
    result: _T = gevent.get_hub().threadpool.apply(work, args, named)
    return result
