"""Bytes received and sent on connections, counted by the kernel instead of by us.

tcp(7): TCP_INFO. Counts are of the wire: those of TLS include its records and its handshake.
"""

import contextlib
import socket
from struct import Struct
from typing import Final

from meshproxy.metrics.instruments import Counter

MOST_AT_ONCE: Final = 2000
"""Connections asked about in one `count`, which bounds its time to a few milliseconds."""
_INFO: Final = Struct("=B127xQ64xQQ")
"""State, bytes received, bytes sent and bytes sent again (linux: include/uapi/linux/tcp.h)."""
_FIN_RECEIVED: Final = frozenset({6, 7, 8, 9, 11})
"""TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK and CLOSING: the end of input counts as a byte."""


class Traffic:
    """The open connections and their counters, brought up to date by `count` and `leave`."""

    def __init__(self) -> None:
        self._open: dict[object, _Watched] = {}

    def watch(self, owner: object, sock: socket.socket, received: Counter, sent: Counter) -> None:
        """Counts what *sock* has received and sent so far, and from now on until `leave(owner)`."""
        self._open[owner] = _Watched(sock, received, sent)

    def leave(self, owner: object) -> None:
        """Counts for the last time; call it before the socket is closed."""
        counted = self._open.pop(owner, None)
        if counted is not None:
            counted.count()

    def count(self) -> None:
        """Counts anew: all connections, or those that were not asked for the longest time."""
        for owner in list(self._open)[:MOST_AT_ONCE]:
            counted = self._open[owner] = self._open.pop(owner)
            counted.count()


class _Watched:
    __slots__ = ("_last_received", "_last_sent", "_received", "_sent", "_sock")

    def __init__(self, sock: socket.socket, received: Counter, sent: Counter) -> None:
        self._sock = sock
        self._received = received
        self._sent = sent
        self._last_received = self._last_sent = 0

    def count(self) -> None:
        with contextlib.suppress(OSError):  # not TCP: nothing is known
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
            if len(info) == _INFO.size:
                self._add(*_INFO.unpack(info))

    def _add(self, state: int, received: int, sent: int, sent_again: int) -> None:
        received -= received > 0 and state in _FIN_RECEIVED
        sent -= sent_again
        self._received.value += max(received - self._last_received, 0)
        self._sent.value += max(sent - self._last_sent, 0)
        self._last_received, self._last_sent = received, sent


traffic: Final = Traffic()
"""The connections of this process."""
