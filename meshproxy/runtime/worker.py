"""A worker: a process that serves under a supervisor and reports its metrics to it.

Started only by `meshproxy.runtime.worker_process`. It drains and ends on request, on SIGTERM, and
when the supervisor has ended.
"""

import logging
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event
from gevent.socket import socket

from meshproxy.config.errors import ConfigErrors
from meshproxy.metrics.report import Report
from meshproxy.net.channel import Channel
from meshproxy.net.turn import next_turn
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.garbage import collect_seldom
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.process_log import log_to_stderr, set_levels
from meshproxy.runtime.questions import answer_to
from meshproxy.runtime.worker_config import received

_log = logging.getLogger(__name__)
REPORT_INTERVAL_S: Final = 1.0
"""If a worker is killed, what it counted since its last report is lost."""
WATCH_S: Final = 3.0
"""Seconds for which a worker reports every ended request after each demand of its supervisor."""
_ENDED_AT_ONCE: Final = 200
"""Requests in a message."""


class Worker:
    """Serves *linker*, which has been started, and obeys the supervisor at *channel*."""

    def __init__(self, channel: Channel, linker: Linker) -> None:
        self._channel = channel
        self._linker = linker
        self._report = Report(linker.metrics)
        self._stop: AsyncResult[float | None] = AsyncResult()
        """The grace period in seconds; None means the configured one."""
        self._wake = Event()
        self._wake.set()  # the first report is due
        self._is_over = False
        self._asked = 0

    def run(self) -> int:
        """Serves until stopped. Returns 0 if all running requests finished in time, else 1."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it is for the supervisor
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        gevent.signal_handler(signal.SIGTERM, self._stop.set, None)
        listening = gevent.spawn(self._listen)
        reporting = gevent.spawn(self._report_often)
        finished = self._linker.close(self._stop.get())
        self._is_over = True
        self._wake.set()
        reporting.join()
        self._channel.close()
        listening.join()
        return 0 if finished else 1

    def _listen(self) -> None:
        while (message := self._channel.receive()) is not None:
            match message:
                case ["report", int(number)]:
                    self._asked = number
                    self._wake.set()
                case ["reload", dict(config)]:
                    self._channel.send("reloaded", self._reload(config))
                case ["ask", int(number), *question]:
                    gevent.spawn(self._answer, number, *question)
                case ["watch"]:
                    self._linker.recent.watch(WATCH_S)
                case ["reopen"]:
                    self._linker.reopen_logs()
                case ["drain", grace_seconds]:
                    self._stop.set(grace_seconds)
        if not self._stop.ready():
            _log.warning("the supervisor is gone, finishing running requests")
            self._stop.set(None)

    def _answer(self, number: int, *question: Any) -> None:
        self._channel.send("answer", number, *answer_to(self._linker.answer, *question))

    def _reload(self, config: Mapping[str, Any]) -> str | None:
        """Serves *config* from now on. Returns None, or why it cannot."""
        try:
            self._linker.reload(received(config))
        except (CannotStart, ConfigErrors) as error:
            return str(error)
        return None

    def _report_often(self) -> None:
        is_last = False
        while not is_last:
            self._wake.wait(REPORT_INTERVAL_S)
            self._wake.clear()
            is_last = self._is_over
            self._tell(self._asked)

    def _tell(self, asked: int) -> None:
        missed, ended = self._linker.recent.missed, self._linker.recent.take()
        for first in range(0, len(ended), _ENDED_AT_ONCE):
            self._channel.send("ended", ended[first : first + _ENDED_AT_ONCE], 0)
            next_turn()
        if missed:
            self._channel.send("ended", [], missed)
        for batch in self._report.batches():
            self._channel.send("counted", *batch)
            next_turn()
        self._channel.send("reported", asked, self._linker.readiness.why_not())


def main(descriptor: str, number: str, log_level: str, log_form: str) -> int:
    """Serves as worker *number* of the supervisor at *descriptor*. Returns the exit status."""
    log_to_stderr(log_level, log_form, int(number))
    channel = Channel.inherited(int(descriptor))
    match channel.receive():
        case ["start", dict(config), list(listening), dict(levels)]:
            set_levels(levels)
        case _:
            return 1
    try:
        linker = _started(config, listening)
    except (CannotStart, ConfigErrors) as error:
        channel.send("cannot start", str(error))
        return 1
    collect_seldom()
    channel.send("serving")
    return Worker(channel, linker).run()


def _started(config: Mapping[str, Any], listening: Sequence[tuple[str, int, int]]) -> Linker:
    inherited = {(ip, port): socket(fileno=number) for ip, port, number in listening}
    linker = Linker(received(config), inherited=inherited, is_worker=True)
    linker.start()
    return linker
