"""A real HTTP/1.1 server made of a function, reading strictly with h11."""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import responses

import h11
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from .closing import Closing
from .daemons import START_S
from .wire import Fields

HEAD_LIMIT = 256 * 1024
FRAMING = {"content-length", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Received(Fields):
    """One request as the server saw it."""

    method: str
    target: str
    version: str
    raw: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    connection: int
    """Which connection it came on, counted from 0."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back: bytes get a Content-Length, any other iterable goes out in chunks."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Received], Answer | bytes]


@dataclass
class Downstream(Closing):
    """Serves *handler* on a port of *host*, over TLS when given a context; a context manager."""

    handler: Handler
    host: str = "127.0.0.1"
    port: int = 0
    context: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    wire: list[bytearray] = field(default_factory=list)
    """Every byte received, by connection."""
    server_names: list[str | None] = field(default_factory=list)
    """The SNI of every TLS connection."""
    peers: list[str] = field(default_factory=list)
    """The address that every connection came from."""

    def __post_init__(self) -> None:
        if self.context:
            self.context.sni_callback = lambda _sock, name, _ctx: self.server_names.append(name)
        self._open: set[socket.socket] = set()
        self._server = StreamServer((self.host, self.port), self._serve)
        self._server.start()
        self.port = self._server.server_port

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._server.stop(timeout=0)
        for sock in list(self._open):
            sock.close()

    def _serve(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.peers.append(peer[0])
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(sock)
        self.wire.append(bytearray())
        try:
            self._serve_connection(sock, len(self.wire) - 1)
        except (OSError, h11.RemoteProtocolError):
            pass  # a client that leaves or breaks the rules shows in `requests` and `wire`
        finally:
            self._open.discard(sock)
            sock.close()

    def _serve_connection(self, plain: socket.socket, number: int) -> None:
        sock = self.context.wrap_socket(plain, server_side=True) if self.context else plain
        self._open.add(sock)
        try:
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
            while received := self._read(sock, connection, number):
                self.requests.append(received)
                answer = self.handler(received)
                if isinstance(answer, bytes):
                    answer = Answer(body=answer)
                _send(sock, connection, answer, is_head=received.method == "HEAD")
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        finally:
            self._open.discard(sock)
            sock.close()

    def _read(
        self, sock: socket.socket, connection: h11.Connection, number: int
    ) -> Received | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    if connection.they_are_waiting_for_100_continue:
                        sock.sendall(
                            connection.send(h11.InformationalResponse(status_code=100, headers=[]))
                        )
                    data = sock.recv(65536)
                    self.wire[number] += data
                    connection.receive_data(data)
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage() if head:
                    return Received(
                        method=head.method.decode(),
                        target=head.target.decode("latin-1"),
                        version=head.http_version.decode(),
                        raw=list(head.headers.raw_items()),
                        body=bytes(body),
                        trailers=list(event.headers),
                        connection=number,
                    )
                case _:
                    return None


class SlowDownstream(Downstream):
    """Answers everything with *body*, but not before it is let go, or closed."""

    def __init__(self, body: bytes = b"finished") -> None:
        self._answer = body
        self._asked, self._may_answer = Event(), Event()
        super().__init__(self._hold)

    def wait_asked(self) -> None:
        """Wait for a request; fails if none comes."""
        assert self._asked.wait(START_S)

    def let_go(self) -> None:
        """Answer what is held, and all that comes from now on."""
        self._may_answer.set()

    def close(self) -> None:
        self.let_go()
        super().close()

    def _hold(self, _: Received) -> bytes:
        self._asked.set()
        self._may_answer.wait(START_S)
        return self._answer


def _send(
    sock: socket.socket, connection: h11.Connection, answer: Answer, *, is_head: bool
) -> None:
    headers = list(answer.headers)
    has_content = answer.status not in {204, 304}
    if has_content and not {name.lower() for name, _ in headers} & FRAMING:
        size = ("Content-Length", str(len(answer.body))) if isinstance(answer.body, bytes) else None
        headers.append(size or ("Transfer-Encoding", "chunked"))
    reason = responses.get(answer.status, "")
    reply = h11.Response(status_code=answer.status, headers=headers, reason=reason)
    sock.sendall(connection.send(reply) or b"")
    if has_content and not is_head:
        for part in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            sock.sendall(connection.send(h11.Data(data=part)) or b"")
    sock.sendall(connection.send(h11.EndOfMessage(headers=list(answer.trailers))) or b"")
