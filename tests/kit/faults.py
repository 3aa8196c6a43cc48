"""What goes wrong on the way: a TCP proxy that cuts and stalls, and a port that is a hole."""

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from .closing import Closing
from .wire import dial

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a RST."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the bytes of one direction; nothing by default."""

    cut_after: int | None = None
    """So many bytes pass, then both connections end."""
    is_reset: bool = False
    """They end by RST."""
    piece: int = 65536
    """Bytes passed on at once."""
    pause_s: float = 0.0
    """Waited before each piece: a delay, or a throttle if pieces are small."""
    is_hole: bool = False
    """Bytes are taken and never come out."""


NONE = Fault()


@dataclass
class FaultProxy(Closing):
    """Relays TCP to *port* of 127.0.0.1; a context manager.

    Change *up* (from the client) and *down* (to it) at will: they hold for connections accepted
    from then on.
    """

    to: int
    up: Fault = NONE
    down: Fault = NONE
    accepted: int = 0
    ended: int = 0
    """Connections accepted, and those that are over."""

    def __post_init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._relay)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._server.stop(timeout=0)

    def _relay(self, client: socket.socket, _peer: object) -> None:
        self.accepted += 1
        link = _Link(client, dial(("127.0.0.1", self.to)))
        link.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [
            gevent.spawn(link.pump, link.client, link.server, self.up),
            gevent.spawn(link.pump, link.server, link.client, self.down),
        ]
        try:
            link.over.wait()
        finally:
            gevent.killall(ways)
            link.close()
            self.ended += 1


class _Link:
    """One relayed connection; *over* when neither side may go on."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.over = Event()
        self._ways = 2
        self._is_reset = False

    def pump(self, source: socket.socket, sink: socket.socket, fault: Fault) -> None:
        """Pass bytes on in one direction until it ends, is cut, or one side has gone."""
        left = fault.cut_after
        try:
            while left is None or left > 0:
                data = source.recv(fault.piece if left is None else min(fault.piece, left))
                if not data:
                    return self._half_close(sink)
                gevent.sleep(fault.pause_s) if fault.pause_s else None
                sink.sendall(b"" if fault.is_hole else data)
                left = None if left is None else left - len(data)
            self._is_reset = fault.is_reset
        except OSError:
            self._is_reset = True
        self.over.set()
        return None

    def close(self) -> None:
        """End both sides, by RST if they did not end well."""
        for sock in (self.client, self.server):
            if self._is_reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()

    def _half_close(self, sink: socket.socket) -> None:
        sink.shutdown(socket.SHUT_WR)
        self._ways -= 1
        if not self._ways:
            self.over.set()


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port of 127.0.0.1 that answers no SYN: its backlog is full and nobody accepts."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
