"""A statsd collector: the statsd package's client on a socket that reports refusals."""

import socket
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from statsd.client.udp import Pipeline, StatsClient

from meshproxy.metrics.instruments import Counter

MAX_DATAGRAM: Final = 1400
_SEND_TIMEOUT_S: Final = 1.0


class LinePipeline(Pipeline):  # type: ignore[misc] # the package has no types
    """The package's pipeline for complete lines; `send` packs them into datagrams.

    Where each datagram ends is looked up in the sum of the lengths, so that lines by the thousand
    cost hardly more than their bytes.
    """

    def add(self, lines: Iterable[str]) -> None:
        """Queues *lines*."""
        self._stats.extend(lines)

    def _send(self) -> None:
        """Sends the lines in their order, as many in each datagram as fit."""
        lines = list(self._stats)
        self._stats.clear()
        ends = list(accumulate(map((1).__add__, map(len, lines))))
        first = sent = 0
        while first < len(lines):
            after = max(bisect_right(ends, sent + MAX_DATAGRAM), first + 1)
            self._client._after("\n".join(lines[first:after]))  # noqa: SLF001 - as the package does
            first, sent = after, ends[after - 1]


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
