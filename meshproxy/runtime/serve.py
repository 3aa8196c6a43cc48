"""Serve until told to stop: signals, the grace period, and the exit status."""

import logging
import os
import signal
import sys

import gevent
from gevent.event import AsyncResult

from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.supervisor import Supervisor

_log = logging.getLogger(__name__)


def serve(config: LinkerConfig, text: str, name: str) -> int:
    """Run *config* until SIGTERM, SIGINT or POST /admin/shutdown; the exit status.

    It was read from *text*, which messages call *name*. A second signal ends the process, and its
    workers, at once. Raises CannotStart.
    """
    stop: AsyncResult[tuple[str, float | None]] = AsyncResult()

    def shutdown(grace: float | None) -> None:
        stop.set(("POST /admin/shutdown", grace))

    linker: Linker | Supervisor
    if config.workers is None:
        linker = Linker(config, shutdown=shutdown)
    else:
        linker = Supervisor(config, text, name, shutdown)

    def on_signal(number: signal.Signals) -> None:
        if stop.ready():
            _log.warning("received %s again, ending at once", number.name)
            sys.stderr.flush()
            if isinstance(linker, Supervisor):
                linker.kill()
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
