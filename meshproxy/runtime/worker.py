"""A worker: a process that serves below a supervisor, and reports to it what it counts.

Started by `meshproxy.runtime.worker_process` only. It drains and ends when it is told to, on
SIGTERM, and when the supervisor is gone.
"""

import logging
import signal
import sys
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import read
from meshproxy.metrics.report import Report
from meshproxy.net.channel import Channel
from meshproxy.runtime.addresses import Ports, worker_config
from meshproxy.runtime.linker import CannotStart, Linker

_log = logging.getLogger(__name__)
REPORT_INTERVAL_S: Final = 1.0
"""What a worker counted since its last report is lost when it is killed."""


class Worker:
    """Serves *linker*, which has been started, and answers the supervisor at *channel*."""

    def __init__(self, channel: Channel, linker: Linker) -> None:
        self._channel = channel
        self._linker = linker
        self._report = Report(linker.metrics)
        self._stop: AsyncResult[float | None] = AsyncResult()
        """The grace period in seconds; the configured one if None."""
        self._wake = Event()
        self._is_last = False
        self._asked = self._answered = 0

    def run(self) -> int:
        """Serve until told to stop; 0 if all running requests finished in time, else 1."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is the supervisor's
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        gevent.signal_handler(signal.SIGTERM, self._stop.set, None)
        listening = gevent.spawn(self._listen)
        reporting = gevent.spawn(self._report_often)
        finished = self._linker.close(self._stop.get())
        self._is_last = True
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
                case ["drain", grace_seconds]:
                    self._stop.set(grace_seconds)
                case ["reopen"]:
                    self._linker.reopen_logs()
        if not self._stop.ready():
            _log.warning("the supervisor is gone, finishing running requests")
            self._stop.set(None)

    def _report_often(self) -> None:
        while not self._is_last:
            self._wake.wait(REPORT_INTERVAL_S)
            self._wake.clear()
            self._tell()

    def _tell(self) -> None:
        asked = self._asked
        for index, recent in enumerate(self._linker.recent_requests):
            if taken := recent.take():
                self._channel.send("requests", index, [astuple(one) for one in taken])
        for batch in self._report.batches():
            self._channel.send("counted", *batch)
            gevent.sleep(0)
        self._channel.send("reported", asked)


def main(descriptor: int, number: int) -> int:
    """Serve as worker *number*, whose supervisor is at *descriptor*; the exit status."""
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s worker {number}: %(message)s",
        stream=sys.stderr,
    )
    channel = Channel.inherited(descriptor)
    match channel.receive():
        case ["start", str(text), str(name), dict(ports)]:
            pass
        case _:
            return 1
    try:
        linker = _started(text, name, ports)
    except (CannotStart, ConfigErrors) as error:
        channel.send("cannot start", str(error))
        return 1
    channel.send("serving")
    return Worker(channel, linker).run()


def _started(text: str, name: str, ports: Mapping[str, Any]) -> Linker:
    linker = Linker(worker_config(read(text, name).config, Ports(**ports)), is_worker=True)
    linker.start()
    return linker


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
