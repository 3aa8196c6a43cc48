"""Messages between two of our own processes over a Unix socket pair: a length, then JSON.

JSON rather than pickle or marshal: a worker reads what strangers send, and an attacker who takes
one over must not be able to run code in the supervisor.
"""

import json
import socket as stdlib_socket
import struct
from typing import Any, Final

import gevent
from gevent import socket
from gevent.lock import BoundedSemaphore

MAX_MESSAGE: Final = 16 * 1024 * 1024
SEND_SECONDS: Final = 5.0
"""A peer that has not taken a message after this time is treated as gone."""

_LENGTH: Final = struct.Struct("!I")


class Channel:
    """One end. A broken end is closed, so that both sides see the other as gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._turn = BoundedSemaphore(1)
        self.is_open = True

    @classmethod
    def pair(cls) -> tuple["Channel", stdlib_socket.socket]:
        """Returns one end, and the other end's socket for a new process to inherit."""
        ours, theirs = stdlib_socket.socketpair()
        return cls(socket.socket(fileno=ours.detach())), theirs

    @classmethod
    def inherited(cls, descriptor: int) -> "Channel":
        """Returns the end that this process inherited at its start."""
        return cls(socket.socket(fileno=descriptor))

    def send(self, *message: object) -> bool:
        """Sends *message* within `SEND_SECONDS`. Returns False if it could not be sent."""
        data = json.dumps(message).encode("ascii")
        try:
            with gevent.Timeout(SEND_SECONDS, TimeoutError("the peer does not read")), self._turn:
                if self.is_open:
                    self._sock.sendall(_LENGTH.pack(len(data)) + data)
        except OSError:
            self.close()
        return self.is_open

    def receive(self) -> list[Any] | None:
        """Returns the next message, waiting as long as it takes; None if the peer has closed."""
        try:
            size = self._read(_LENGTH.size)
            if size is not None and (length := _LENGTH.unpack(size)[0]) <= MAX_MESSAGE:
                data = self._read(length)
                if data is not None:
                    message: list[Any] = json.loads(data)
                    return message
        except (OSError, ValueError):
            pass  # treated as the end
        self.close()
        return None

    def close(self) -> None:
        """Closes this end, even while a greenlet waits to receive."""
        self.is_open = False
        self._sock.close()

    def _read(self, size: int) -> bytes | None:
        parts = []
        while size:
            part = self._sock.recv(min(size, 65536))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
