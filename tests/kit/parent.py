"""A parent proxy of a script: it takes CONNECT, and looks names up as it is told."""

from dataclasses import dataclass, field

import gevent
from gevent import socket
from gevent.server import StreamServer

from .closing import Closing
from .wire import dial

HANGS_UP = 0
"""In place of a status: the connection is closed without an answer."""


@dataclass
class Parent(Closing):
    """Tunnels to what `names` say, and answers 503 about others; a context manager."""

    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Where each `host:port` is."""
    answer: int | None = None
    """The status of every answer, if it is not to open tunnels."""
    heads: list[bytes] = field(default_factory=list)
    """What was asked."""
    greeting: bytes = b""
    """Sent in one piece with the head of a tunnel."""
    port: int = 0

    def __post_init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", self.port), self._serve)
        self._server.start()
        self.port = self._server.server_port

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """Return each `host:port` asked for."""
        return [head.split()[1].decode() for head in self.heads]

    def close(self) -> None:
        """Stop listening; open tunnels stay."""
        self._server.stop(timeout=0)

    def _serve(self, sock: socket.socket, _peer: object) -> None:
        head = b""
        with sock:
            while b"\r\n\r\n" not in head:
                data = sock.recv(4096)
                if not data:
                    return
                head += data
            self.heads.append(head)
            to = self.names.get(head.split()[1].decode())
            status = self.answer if self.answer is not None else 200 if to else 503
            if status == HANGS_UP:
                return
            reply = f"HTTP/1.1 {status} Said So\r\nContent-Length: 0\r\n\r\n".encode()
            sock.sendall(reply + self.greeting)
            if to is None or status != 200:
                return
            with dial(to) as inner:
                back = gevent.spawn(_pump, inner, sock)
                _pump(sock, inner)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
