"""An HTTP API on a loopback port, whose answers may be held, streamed, and spoilt on demand."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import gevent
import h11
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from .closing import Closing
from .wire import Fields

Fault = (
    int
    | Literal[
        "stall",  # nothing is said
        "reset",  # the connection is closed without a word
        "not http",
        "garbage",  # 200, and no JSON
        "other json",  # 200, and JSON of another kind
        "empty",
        "cut",  # the connection ends in the middle of the body
        "dribble",  # the body begins and never ends
        "endless",
        "huge",
    ]
)

POLL_S = 0.02
HUGE = 33 * 1024 * 1024
BAD_BODIES: dict[Fault, bytes] = {
    "garbage": b"<html>\n",
    "other json": b'{"of": "another kind"}\n',
    "empty": b"",
}


@dataclass(frozen=True, slots=True)
class Asked(Fields):
    """One question."""

    method: str
    target: str
    raw: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def segments(self) -> list[str]:
        """The segments of the path, decoded."""
        return [unquote(segment) for segment in urlsplit(self.target).path.split("/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        """The last value of each parameter."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; a body that is no bytes goes out in chunks as it comes."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()


class HttpApi(Closing):
    """Serves `answer` of a subclass until closed; a context manager."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self.host = host
        self.port = port
        self.asked: list[Asked] = []
        """Every question so far."""
        self.faults: dict[str, Fault] = {}
        """A part of a target, and what becomes of its answers."""
        self.answering = 0
        """Questions that have no whole answer yet."""
        self._context = context
        self._news = Event()
        self._open: set[socket.socket] = set()
        self._server: StreamServer | None = None
        self.listen()

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._open)

    def targets(self, part: str = "") -> list[str]:
        """Return the targets so far that have *part* in them."""
        return [asked.target for asked in self.asked if part in asked.target]

    def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        self._server = StreamServer((self.host, self.port), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def close(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._server is not None:
            self._server.stop(timeout=0)
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Cut the connections that are open."""
        for sock in list(self._open):
            sock.close()
        self.tell()

    def tell(self) -> None:
        """Let all that wait look again."""
        before, self._news = self._news, Event()
        before.set()

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Hold an answer until *condition* holds, at most for *timeout_s*."""
        with gevent.Timeout(timeout_s, False):
            while not condition():
                self._news.wait()

    def answer(self, asked: Asked) -> Said:
        """Answer one question, maybe after `wait`."""
        raise NotImplementedError

    def _serve(self, plain: socket.socket, _peer: object) -> None:
        self._open.add(plain)
        sock = plain
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(plain, server_side=True)
                self._open.add(sock)
            connection = h11.Connection(h11.SERVER)
            while asked := _read(sock, connection):
                self.asked.append(asked)
                self._attend(sock, connection, asked)
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (OSError, h11.RemoteProtocolError, gevent.GreenletExit):
            pass  # the client left, or `cut` was called
        finally:
            self._open -= {plain, sock}
            sock.close()
            plain.close()

    def _attend(self, sock: socket.socket, connection: h11.Connection, asked: Asked) -> None:
        """Answer, unless the client leaves meanwhile."""
        me = gevent.getcurrent()
        watching = gevent.spawn(_kill_when_gone, sock, me) if self._context is None else None
        self.answering += 1
        try:
            fault = next((self.faults[part] for part in self.faults if part in asked.target), None)
            if fault is None:
                _send(sock, connection, self.answer(asked))
            else:
                self._spoil(sock, connection, fault)
        finally:
            self.answering -= 1
            if watching is not None:
                watching.kill()

    def _spoil(self, sock: socket.socket, connection: h11.Connection, fault: Fault) -> None:
        match fault:
            case int(status):
                _send(sock, connection, Said(status, b'{"message": "by the test"}\n'))
            case "stall":
                self.wait(lambda: False, 60)
            case "reset":
                raise ConnectionAbortedError
            case "not http":
                sock.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
                raise ConnectionAbortedError
            case _:
                _send(sock, connection, Said(body=self._bad_body(sock, fault)))

    def _bad_body(self, sock: socket.socket, fault: Fault) -> bytes | Iterable[bytes]:
        match fault:
            case "cut":
                return _cut(sock)
            case "dribble":
                return self._dribble()
            case "endless":
                return _endless()
            case "huge":
                return b"[" + b" " * HUGE + b"]"
            case _:
                return BAD_BODIES[fault]

    def _dribble(self) -> Iterator[bytes]:
        while True:
            yield b"["
            self.wait(lambda: False, 0.02)


def _cut(sock: socket.socket) -> Iterator[bytes]:
    yield b'[{"begun": '
    sock.close()


def _endless() -> Iterator[bytes]:
    while True:
        yield b"[" * 65536
        gevent.sleep(0)


def _kill_when_gone(sock: socket.socket, answering: gevent.Greenlet) -> None:
    try:
        while sock.recv(1, socket.MSG_PEEK):  # waits, but for a client that has sent more
            gevent.sleep(POLL_S)
    except (OSError, ValueError):
        pass  # it was closed here
    answering.kill(block=False)


def _read(sock: socket.socket, connection: h11.Connection) -> Asked | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(sock.recv(65536))
            case h11.Request() as head:
                pass
            case h11.Data() as event:
                body += event.data
            case h11.EndOfMessage() if head:
                return Asked(
                    method=head.method.decode(),
                    target=head.target.decode("latin-1"),
                    raw=list(head.headers.raw_items()),
                    body=bytes(body),
                )
            case _:
                return None


def _send(sock: socket.socket, connection: h11.Connection, said: Said) -> None:
    whole = said.body if isinstance(said.body, bytes) else None
    framing = ("Transfer-Encoding", "chunked")
    if whole is not None:
        framing = ("Content-Length", str(len(whole)))
    headers = [*said.headers, framing]
    sock.sendall(connection.send(h11.Response(status_code=said.status, headers=headers)) or b"")
    for part in said.body if whole is None else [whole]:
        sock.sendall(connection.send(h11.Data(data=part)) or b"")
    sock.sendall(connection.send(h11.EndOfMessage()) or b"")
