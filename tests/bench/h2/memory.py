"""The memory of idle connections and of open streams."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tests.bench.growth import WARM_UP
from tests.bench.h2.client import Client
from tests.bench.machine import memory_kib, settle
from tests.bench.proxies import Running

_STREAMS = 100
"""Open on each connection."""


def idle_kib(running: Running, count: int) -> float:
    """Return the KiB of each of *count* connections that have had one request."""
    with _idle(running, WARM_UP):
        return _grown(running, count)


@contextmanager
def _idle(running: Running, count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(closing(Client(running.port)))
            client.send(client.request())
            assert next(client.ended()) == 1
        yield


def _grown(running: Running, count: int) -> float:
    settle(running.pids)
    before = memory_kib(running.pids)
    with _idle(running, count):
        settle(running.pids)
        return (memory_kib(running.pids) - before) / count


def open_kib(running: Running, count: int) -> float:
    """Return the KiB of each of *count* streams whose request has begun and does not end."""
    with _open(running, _STREAMS):
        settle(running.pids)
        before = memory_kib(running.pids)
        with _open(running, count):
            settle(running.pids)
            return (memory_kib(running.pids) - before) / count


@contextmanager
def _open(running: Running, count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count // _STREAMS):
            client = stack.enter_context(closing(Client(running.port, "POST")))
            client.send(b"".join(client.request(ends=False) for _ in range(_STREAMS)))
        yield
