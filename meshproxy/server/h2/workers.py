"""Greenlets that serve streams, one after the other: a new one costs ten times a switch."""

import sys
from collections.abc import Callable
from typing import Final

from gevent import get_hub, getcurrent
from greenlet import greenlet

_MOST_IDLE: Final = 256

_idle: list[greenlet] = []


def run(work: Callable[[], object]) -> None:
    """Runs *work* in a worker until it waits or ends; must be called in the hub.

    An exception is logged by the hub, and no more: other streams are being served meanwhile.
    """
    (_idle.pop() if _idle else _begun()).switch(work)


def _begun() -> greenlet:
    """Returns a new worker, which waits: a greenlet holds what it began with until its end."""
    worker = greenlet(_serve, get_hub())
    worker.switch()
    return worker


def _serve() -> None:
    """Calls one function after the other, until there are enough idle workers."""
    worker, hub = getcurrent(), get_hub()
    while True:
        work = None
        while not work:  # a late switch of somebody for whom it waited before
            work = hub.switch()
        try:
            work()
        except Exception:  # noqa: BLE001 - in the hub it would stop a session's watcher
            hub.handle_error(worker, *sys.exc_info())
        if len(_idle) >= _MOST_IDLE:
            return
        _idle.append(worker)
