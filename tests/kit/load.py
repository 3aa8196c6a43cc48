"""Clients that keep asking while something happens to the proxy."""

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent.event import Event

from .daemons import START_S
from .wire import Reply, WireClient, get


@contextmanager
def load(port: int, clients: int = 4) -> Iterator[list[Reply]]:
    """Ask *port* for `web` over and over, and give the replies so far.

    So many *clients* each keep one connection, and as many open one for each request. At the end
    of the block each finishes its request; what went wrong for any of them is raised there.
    """
    over = Event()
    replies: list[Reply] = []

    def keep_asking() -> None:
        with WireClient(port) as client:
            while not over.is_set():
                replies.append(client.get("web"))

    def ask_anew() -> None:
        while not over.is_set():
            replies.append(get(port, "web"))

    asking = [gevent.spawn(work) for work in (keep_asking, ask_anew) for _ in range(clients)]
    try:
        yield replies
    finally:
        over.set()
        gevent.joinall(asking, timeout=START_S, raise_error=True)
