"""A statsd server on loopback that keeps what it is told."""

import gevent
from gevent import socket

from meshproxy.metrics.tree import Scope
from meshproxy.telemeters import statsd

from .closing import Closing


def line(prefix: str, scope: Scope, kind: str, value: float, sample_rate: float = 1.0) -> str:
    """Returns the line of one reading; *sample_rate* applies to timings only."""
    dotted = statsd.name(prefix, scope)
    if kind == "counter":
        return statsd.counted(dotted, int(value))
    if kind == "gauge":
        return statsd.gauged(dotted, value)
    return statsd.timed(dotted, [value], sample_rate)[0]


class Collector(Closing):
    """Listens from the start on; a context manager."""

    def __init__(self, port: int = 0) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", port))
        self.port: int = self._sock.getsockname()[1]
        self.lines: list[str] = []
        self._reader = gevent.spawn(self._read)

    def count(self, name: str) -> int:
        """Return what the counter *name* has come to."""
        told = (line.removeprefix(f"{name}:") for line in self.lines if line.startswith(f"{name}:"))
        return sum(int(rest.removesuffix("|c")) for rest in told)

    def close(self) -> None:
        """Stop listening."""
        self._reader.kill()
        self._sock.close()

    def _read(self) -> None:
        while True:
            self.lines += self._sock.recv(65536).decode().splitlines()
