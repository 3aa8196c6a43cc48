"""Serves until stopped: signals, systemd, the grace period, and the exit status."""

import logging
import os
import signal
import sys
from collections.abc import Callable

import gevent
from gevent.event import AsyncResult

from meshproxy.config.schema import LinkerConfig
from meshproxy.net.descriptors import raise_allowed
from meshproxy.runtime.garbage import collect_seldom
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.reload import Source, reload
from meshproxy.runtime.supervisor import Supervisor
from meshproxy.runtime.systemd import Notifier, close_unused, inherited_sockets

_log = logging.getLogger(__name__)


def serve(config: LinkerConfig, source: Source, started: Callable[[], None] | None = None) -> int:
    """Runs *config* until SIGTERM, SIGINT or POST /admin/shutdown. Returns the exit status.

    Calls *started* as soon as it serves. SIGHUP and POST /admin/reload switch to what *source*
    then returns. A second signal to stop ends the process and its workers at once, with status 1.
    Raises CannotStart.
    """
    allow_descriptors()
    stop: AsyncResult[tuple[str, float | None]] = AsyncResult()
    systemd = Notifier(os.environ)
    sockets, names = inherited_sockets(os.environ)

    def bring_in() -> str | None:
        systemd.reloading()
        try:
            return reload(linker, source)
        finally:
            systemd.ready()

    linker: Linker | Supervisor = (Linker if config.workers is None else Supervisor)(
        config,
        shutdown=lambda grace: stop.set(("POST /admin/shutdown", grace)),
        reload=bring_in,
        inherited=sockets,
    )
    _on_signals(stop, linker.kill if isinstance(linker, Supervisor) else None)
    gevent.signal_handler(signal.SIGHUP, lambda: stop.ready() or bring_in())
    linker.start()
    collect_seldom()
    close_unused(sockets, names)
    systemd.ready()
    if started is not None:
        started()
    why, grace = stop.get()
    systemd.stopping()
    linker.withdraw()
    delay = linker.config.admin.shutdown_delay_ms / 1000
    if delay:
        _log.info("received %s, serving on for %g s", why, delay)
        gevent.sleep(delay)
    _log.info("received %s, finishing running requests", why)
    if not linker.close(grace):
        _log.warning("the grace period is over, requests were cut")
    return 0


def allow_descriptors() -> None:
    """Raises the limit of descriptors for this process and those it starts, and logs that."""
    before, now = raise_allowed()
    if now != before:
        _log.info("limit of descriptors raised to %s, it was %s (ulimit -n)", now, before)


def _on_signals(
    stop: "AsyncResult[tuple[str, float | None]]", kill: Callable[[], None] | None
) -> None:
    """Makes SIGTERM and SIGINT set *stop*; if it is set, they call *kill* and end the process."""

    def on_signal(number: signal.Signals) -> None:
        if stop.ready():
            _log.warning("received %s again, ending at once", number.name)
            sys.stderr.flush()
            if kill is not None:
                kill()
            os._exit(1)
        stop.set((number.name, None))

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, on_signal, number)
