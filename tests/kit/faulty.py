"""An endpoint that answers every token with the body that belongs to it, and errs at random."""

import random
import re
import socket as plain
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent import socket
from gevent.server import StreamServer

from .faults import RESET
from .recorder import Breach, Ended, Reader, Seen

SLOW_S = 0.2
IDLE_S = 1.0
"""A connection without a request for so long is closed."""
STALL_S = 5.0
STOLEN = b"HTTP/1.1 200 OK\r\nX-Token: stolen\r\nContent-Length: 6\r\n\r\nstolen"
_TOKEN = re.compile(r"/([0-9a-f]{16})\b").search


def reply_body(token: str) -> bytes:
    """Return the only right body of an answer to *token*: mostly short, at times 200 KB."""
    return _repeated(token, b";")


def request_body(token: str) -> bytes:
    """Return the body that a POST of *token* has."""
    return _repeated(token[::-1], b"?")


def _repeated(token: str, end: bytes) -> bytes:
    number = int(token[-4:], 16)
    return (token.encode() + end) * (number % 12000 if number % 16 == 0 else number % 40)


@dataclass
class FaultyServer:
    """Serves until closed; of each request a share of *fault_rate* meets a fault."""

    dice: random.Random
    fault_rate: float
    faults: Counter[str] = field(default_factory=Counter)
    """How often each was played."""
    breaches: list[str] = field(default_factory=list)
    """What came and should not have."""
    posted: Counter[str] = field(default_factory=Counter)
    """How often each POST was seen whole."""
    whole: int = 0
    """Requests seen whole."""

    def __post_init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(timeout=0)

    def _serve(self, sock: socket.socket, _peer: object) -> None:
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_NODELAY, 1)
        sock.settimeout(IDLE_S)
        reader = Reader(sock)
        try:
            while self._answer(sock, reader.request(0)):
                pass
        except Breach as breach:
            self.breaches.append(f"{breach}: {reader.whole[:500]!r}")
        except (Ended, OSError):
            pass  # the proxy may give up a request at any time
        finally:
            sock.close()

    def _answer(self, sock: socket.socket, seen: Seen) -> bool:
        """Answer, rightly or not; whether the connection goes on."""
        method, target, body = seen.line.split(" ", 2)
        found = _TOKEN(target)
        token = found[1] if found else ""
        expected = request_body(token) if method == "POST" else b""
        if not found or dict(seen.fields).get("x-token") != token or body.encode() != expected:
            self.breaches.append(f"not what was sent: {seen.line[:200]!r}")
        self.whole += 1
        self.posted[token] += method == "POST"
        if self.dice.random() >= self.fault_rate:
            sock.sendall(self._reply(token, is_head=method == "HEAD"))
            return True
        name = self.dice.choice(list(FAULTS))
        self.faults[name] += 1
        return FAULTS[name](self, sock, self._reply(token, is_head=method == "HEAD"))

    def _reply(self, token: str, *, is_head: bool = False, status: int = 200) -> bytes:
        body = reply_body(token)
        head = f"HTTP/1.1 {status} Some\r\nX-Token: {token}\r\n".encode()
        if is_head or self.dice.random() < 0.6:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + (b"" if is_head else body)
        chunks = [body[at : at + 5000] for at in range(0, len(body), 5000)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"


Fault = Callable[[FaultyServer, socket.socket, bytes], bool]


def _reset(_: FaultyServer, sock: socket.socket, _reply: bytes) -> bool:
    sock.setsockopt(plain.SOL_SOCKET, plain.SO_LINGER, RESET)
    return False


def _cut(server: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply[: server.dice.randrange(len(reply))])
    return False


def _cut_by_reset(server: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply[: server.dice.randrange(len(reply))])
    return _reset(server, sock, reply)


def _stall(server: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply[: server.dice.choice([0, 0, len(reply) // 2])])
    sock.settimeout(STALL_S)
    return not sock.recv(1)  # until the proxy gives up


def _slow(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    size = len(reply) // 4 + 1
    for at in range(0, len(reply), size):
        sock.sendall(reply[at : at + size])
        gevent.sleep(SLOW_S / 4)
    return True


def _residue(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply + STOLEN)
    return True


def _garbage(server: FaultyServer, sock: socket.socket, _reply: bytes) -> bool:
    sock.sendall(server.dice.randbytes(200) + b"\r\n\r\n")
    return False


def _error(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply.replace(b" 200 ", b" 503 ", 1))
    return True


def _interim(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Token: early\r\n\r\n" + reply)
    return True


def _late_body(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    early = b"HTTP/1.1 103 Early Hints\r\nContent-Length: %d\r\n\r\n" % len(STOLEN)
    sock.sendall(early + reply)
    gevent.sleep(SLOW_S / 4)
    sock.sendall(STOLEN)
    return False


def _unasked_switch(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + reply)
    return False


def _smuggle(_: FaultyServer, sock: socket.socket, reply: bytes) -> bool:
    sock.sendall(reply.replace(b"\r\n", b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 1))
    return True


FAULTS: dict[str, Fault] = {
    "reset": _reset,
    "cut": _cut,
    "cut by reset": _cut_by_reset,
    "stall": _stall,
    "slow": _slow,
    "residue": _residue,
    "garbage": _garbage,
    "error": _error,
    "interim": _interim,
    "late body": _late_body,
    "unasked switch": _unasked_switch,
    "two lengths": _smuggle,
}
