"""Serve until told to stop: signals, the grace period, and the exit status."""

import logging
import os
import signal
import sys

import gevent
from gevent.event import AsyncResult

from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.linker import Linker

_log = logging.getLogger(__name__)


def serve(config: LinkerConfig) -> int:
    """Run *config* until SIGTERM, SIGINT or POST /admin/shutdown; the exit status.

    A second signal ends the process at once. Raises CannotStart.
    """
    stop: AsyncResult[tuple[str, float | None]] = AsyncResult()
    linker = Linker(config, shutdown=lambda grace: stop.set(("POST /admin/shutdown", grace)))

    def on_signal(number: signal.Signals) -> None:
        if stop.ready():
            _log.warning("received %s again, ending at once", number.name)
            sys.stderr.flush()
            os._exit(1)
        stop.set((number.name, None))

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, on_signal, number)
    linker.start()
    why, grace = stop.get()
    _log.info("received %s, finishing running requests", why)
    if not linker.close(grace):
        _log.warning("the grace period is over, requests were cut")
    return 0
