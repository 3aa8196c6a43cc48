"""A statsd collector: the statsd package's client on a socket that reports refusals."""

import socket
from collections.abc import Iterable
from typing import Final

from statsd.client.udp import Pipeline, StatsClient

from meshproxy.metrics.instruments import Counter

MAX_DATAGRAM: Final = 1400
_SEND_TIMEOUT_S: Final = 1.0


class LinePipeline(Pipeline):  # type: ignore[misc] # the package has no types
    """The package's pipeline for complete lines; `send` packs them into datagrams."""

    def add(self, lines: Iterable[str]) -> None:
        """Queues *lines*."""
        self._stats.extend(lines)


class Collector(StatsClient):  # type: ignore[misc] # the package has no types
    """One address of a collector; lines that cannot be sent are counted in *dropped*.

    Raises OSError if *host* has no address of the family, or there is no route to it.
    """

    def __init__(self, host: str, port: int, dropped: Counter, *, ipv6: bool) -> None:
        super().__init__(host, port, maxudpsize=MAX_DATAGRAM, ipv6=ipv6)
        self._dropped = dropped
        self._sent_last = 0
        self._sock.settimeout(_SEND_TIMEOUT_S)
        try:
            self._sock.connect(self._addr)
        except OSError:
            self.close()
            raise

    def pipeline(self) -> LinePipeline:
        """Returns an empty pipeline to this collector."""
        return LinePipeline(self)

    def _send(self, data: str) -> None:
        lines = data.count("\n") + 1
        if self._sock is None:
            self._dropped.value += lines
            return
        if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._dropped.value += self._sent_last
        try:
            self._sock.send(data.encode("ascii"))
            self._sent_last = lines
        except OSError:
            self._dropped.value += lines


def find(host: str, port: int, dropped: Counter) -> Collector:
    """Looks up *host*, IPv4 first, and returns its collector. Raises OSError if there is none."""
    try:
        host.encode("idna")  # in getaddrinfo it would fail in a thread, which prints the error
    except UnicodeError as error:
        raise OSError(f"not a host name: {host}") from error
    try:
        return Collector(host, port, dropped, ipv6=False)
    except OSError:
        return Collector(host, port, dropped, ipv6=True)
