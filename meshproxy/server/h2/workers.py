"""Greenlets that serve streams, one after the other: a new one costs ten times a switch."""

from collections.abc import Callable
from typing import Final

from gevent import get_hub, getcurrent
from greenlet import greenlet

_MOST_IDLE: Final = 256

_idle: list[greenlet] = []


def run(work: Callable[[], object]) -> None:
    """Runs *work* in a worker until it waits or ends; must be called in the hub.

    An exception ends the worker, and is logged by the hub.
    """
    (_idle.pop() if _idle else greenlet(_serve, get_hub())).switch(work)


def _serve(work: Callable[[], object]) -> None:
    """Calls one function after the other, until there are enough idle workers."""
    worker, wait = getcurrent(), get_hub().switch
    while True:
        work()
        if len(_idle) >= _MOST_IDLE:
            return
        _idle.append(worker)
        following = None
        while following is None:  # a late switch of somebody for whom it waited before
            following = wait()
        work = following
