"""An endpoint that trusts nothing: it records raw bytes and notes every breach of RFC 9112."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import gevent
from gevent import socket
from gevent.server import StreamServer

from .faults import RESET

_REQUEST_LINE = re.compile(rb"([!#-'*+.^-`|~\w-]+) ([!-~\x80-\xff]+) HTTP/1\.1").fullmatch
_FIELD = re.compile(rb"([!#-'*+.^-`|~\w-]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*)").fullmatch
_SIZE = re.compile(rb"([0-9a-f]{1,16})").fullmatch
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}").fullmatch
_HOP_BY_HOP = {"keep-alive", "proxy-connection", "te", "trailer", "proxy-authorization"}


class Breach(Exception):
    """The proxy sent something that is not HTTP/1.1 in its strictest reading."""


class Ended(Exception):
    """The connection ended; within a message, if anything of it had come."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One complete request, as it stood on the wire; names are in lower case."""

    line: str
    """Method, target and body."""
    fields: list[tuple[str, str]]
    trailers: list[tuple[str, str]]
    connection: int
    """Which connection it came on, counted from 0."""

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def host(self) -> str | None:
        """Return the value of Host, of which there is exactly one."""
        return dict(self.fields).get("host")


@dataclass(frozen=True, slots=True)
class Raw:
    """What to answer instead of an echo: segments as they are, and how the connection goes on."""

    segments: Sequence[bytes]
    end: str = "keep"
    """`keep`, `close`, or `reset`."""


@dataclass
class Recorder:
    """Answers each request with its own method and target, or with `script`; a context manager."""

    seen: list[Seen] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    cut: int = 0
    """Requests that ended before they were complete."""
    scripts: dict[str, Raw] = field(default_factory=dict)
    """The answers to the requests for these targets."""

    def __post_init__(self) -> None:
        self._count = 0
        self._readers: dict[int, Reader] = {}
        self._answering = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    @property
    def lines(self) -> list[str]:
        """Return method, target and body of each request."""
        return [one.line for one in self.seen]

    @property
    def open(self) -> set[int]:
        """Return the numbers of the connections that have not ended."""
        return {*self._readers}

    @property
    def residue(self) -> list[bytes]:
        """Return what lies on open connections and is not a whole request."""
        return [reader.residue for reader in self._readers.values() if reader.residue]

    def forget(self) -> None:
        """Begin a new record."""
        self.seen.clear()
        self.breaches.clear()
        self.cut = 0

    def settle(self) -> None:
        """Wait until every answer has left and whoever lives on this loop has taken it."""
        gevent.idle()
        while self._answering:
            gevent.idle()
        gevent.idle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: socket.socket, _peer: object) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number, self._count = self._count, self._count + 1
        reader = self._readers[number] = Reader(sock)
        try:
            while True:
                seen = reader.request(number)
                self.seen.append(seen)
                if not self._answer(sock, seen):
                    return
        except Breach as breach:
            self.breaches.append(f"{breach}: {reader.whole!r}")
        except Ended:
            self.cut += bool(reader.whole)
        except OSError:
            pass  # the proxy did not want to read an answer, which is its right
        finally:
            del self._readers[number]
            sock.close()

    def _answer(self, sock: socket.socket, seen: Seen) -> bool:
        raw = self.scripts.get(seen.target)
        if raw is None:
            body = b"" if seen.method == "HEAD" else seen.line.encode("latin-1")
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return True
        self._answering += 1
        try:
            for segment in raw.segments:
                sock.sendall(segment)
                gevent.idle()  # a turn of the loop in which nothing came: the proxy has taken it
        finally:
            self._answering -= 1
        if raw.end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return raw.end == "keep"


class Reader:
    """Takes requests from a socket, strictly; `whole` is what has come of the present one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._next = b""
        self.whole = b""

    @property
    def residue(self) -> bytes:
        """Return what has come after the last whole request."""
        return self.whole + self._next

    def request(self, number: int) -> Seen:
        """Read one request. Raises Breach and Ended."""
        match = _REQUEST_LINE(self._line())
        if not match:
            raise Breach("not a request line")
        fields = self._fields()
        names = [name for name, _ in fields]
        if names.count("host") != 1 or _HOP_BY_HOP.intersection(names):
            raise Breach("no single Host, or a field that ends at each hop")
        lengths = [value for name, value in fields if name == "content-length"]
        codings = [value for name, value in fields if name == "transfer-encoding"]
        if len(lengths) + len(codings) > 1:
            raise Breach("more than one framing")
        trailers: list[tuple[str, str]] = []
        body = b""
        if codings:
            if codings != ["chunked"]:
                raise Breach("another coding")
            body, trailers = self._chunks(), self._fields()
        elif lengths:
            if not _LENGTH(lengths[0].encode()):
                raise Breach("not a length")
            body = self._take(int(lengths[0]))
        self.whole = b""
        line = b"%b %b %b" % (*match.groups(), body)
        return Seen(line.decode("latin-1"), fields, trailers, number)

    def _fields(self) -> list[tuple[str, str]]:
        fields = []
        while line := self._line():
            match = _FIELD(line)
            if not match:
                raise Breach("not a header field")
            name, value = match.groups()
            fields.append((name.decode().lower(), value.strip(b" \t").decode("latin-1")))
        return fields

    def _chunks(self) -> bytes:
        body = b""
        while True:
            match = _SIZE(self._line())
            if not match:
                raise Breach("not a chunk size")
            if not (size := int(match[1], 16)):
                return body
            body += self._take(size)
            if self._take(2) != b"\r\n":
                raise Breach("no line end after a chunk")

    def _line(self) -> bytes:
        while b"\n" not in self._next:
            self._more()
        line, _, _ = self._next.partition(b"\n")
        self._take(len(line) + 1)
        if not line.endswith(b"\r") or re.search(rb"[\0\r]", line[:-1]):
            raise Breach("a bare CR, LF or NUL")
        return line[:-1]

    def _take(self, size: int) -> bytes:
        while len(self._next) < size:
            self._more()
        taken, self._next = self._next[:size], self._next[size:]
        self.whole += taken
        return taken

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            self.whole += self._next
            raise Ended
        self._next += data


def cuts(raw: bytes) -> list[list[bytes]]:
    """Return *raw* whole, byte by byte, and in two parts cut at every byte."""
    by_byte = [raw[at : at + 1] for at in range(len(raw))]
    return [[raw], by_byte, *([raw[:at], raw[at:]] for at in range(1, len(raw)))]
