"""A server that follows a script on the raw socket, rules of HTTP or not."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from .closing import Closing
from .faults import RESET


@dataclass(frozen=True, slots=True)
class Until:
    """Receive until *mark* was seen, or the peer has ended."""

    mark: bytes = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Send:
    """Send *data*."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """End with RST."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Hold the connection open and do nothing until the server is closed."""


Step = Until | Send | Reset | Stall
Script = Sequence[Step]


@dataclass
class BadServer(Closing):
    """Plays *scripts*, one a connection, the last one for all that follow; then closes it."""

    scripts: Sequence[Script]
    context: ssl.SSLContext | None = None
    """Speaks TLS; each `Send` is a record of its own, and the end comes without close_notify."""
    received: list[bytearray] = field(default_factory=list)
    """Every byte received, by connection."""
    ended: int = 0
    """How many connections are over."""

    def __post_init__(self) -> None:
        self._over = Event()
        self._server = StreamServer(("127.0.0.1", 0), self._play)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening and end every connection, the stalled ones too."""
        self._over.set()
        self._server.stop(timeout=0)

    def _play(self, sock: socket.socket, _peer: object) -> None:
        seen = bytearray()
        self.received.append(seen)
        script = self.scripts[min(len(self.received), len(self.scripts)) - 1]
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            for step in script:
                self._do(step, sock, seen)
        except OSError:
            pass  # the peer left in the middle of the script; `received` says how far it came
        finally:
            self.ended += 1
            sock.close()

    def _do(self, step: Step, sock: socket.socket, seen: bytearray) -> None:
        match step:
            case Until(mark):
                start = len(seen)
                while seen.find(mark, start) < 0 and (data := sock.recv(65536)):
                    seen += data
            case Send(data):
                sock.sendall(data)
            case Reset():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.close()
            case Stall():
                self._over.wait()
