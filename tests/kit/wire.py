"""A client that sends the bytes it is given and reads the answers strictly with h11."""

import ssl
from dataclasses import dataclass
from typing import Any

import h11
from gevent import socket

from .closing import Closing

WAIT_S = 60.0
"""Nothing that a test waits for takes longer, even on a machine that has too much to do."""


def dial(address: tuple[Any, ...], timeout_s: float = WAIT_S) -> socket.socket:
    """Return a socket connected to *address*, whose host is an IP address.

    `create_connection` asks gevent's pool of threads for it; that of 24.2 has lost a call for ever.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.settimeout(timeout_s)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Fields:
    """A message's header fields; their names in `raw` keep the case of the wire."""

    __slots__ = ()
    raw: list[tuple[bytes, bytes]]

    def get(self, name: str) -> str | None:
        """Return the only value of *name*, or None; two values fail the test."""
        values = self.get_all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """Return the values of *name* in order."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.raw if key.lower() == wanted]


@dataclass(frozen=True, slots=True)
class Reply(Fields):
    """A complete response; an incomplete one is an error of `WireClient.read`."""

    status: int
    reason: bytes
    version: bytes
    raw: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    informational: list[int]


class CutShort(Exception):
    """The connection ended inside a response, or before it."""


class NoReply(CutShort):
    """The connection ended before it."""


class WireClient(Closing):
    """One connection to a port of 127.0.0.1, with TLS when given a context; a context manager."""

    def __init__(
        self, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> None:
        self.sock = dial(("127.0.0.1", port))
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=server_name)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send *data* as it is."""
        self.sock.sendall(data)

    def get(self, host: str, target: str = "/", *fields: str) -> Reply:
        """Send a GET for *host* with header lines *fields*, and read its answer."""
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        return self.read()

    def read(self, method: bytes = b"GET") -> Reply:
        """Read one whole response to *method*; raises CutShort, or h11's error on a bad one."""
        connection = _awaiting(method)
        head: h11.Response | None = None
        body, informational = bytearray(), []
        connection.receive_data(self._rest) if self._rest else None
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    data = self.sock.recv(65536)
                    ends_by_close = head and connection.their_state is h11.SEND_BODY
                    if not data and not head:
                        raise NoReply("the connection ended before the end of a head")
                    if not data and not ends_by_close:
                        raise CutShort(f"the connection ended after {head}")
                    connection.receive_data(data)
                case h11.InformationalResponse():
                    informational.append(event.status_code)
                case h11.Response():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage() if head:
                    self._rest = connection.trailing_data[0]
                    return Reply(
                        status=head.status_code,
                        reason=head.reason,
                        version=head.http_version,
                        raw=list(head.headers.raw_items()),
                        body=bytes(body),
                        trailers=list(event.headers),
                        informational=informational,
                    )
                case _:
                    raise CutShort(f"the connection ended with {event}")

    def read_to_end(self) -> bytes:
        """Read until the peer closes; a peer that does not raises TimeoutError."""
        parts = [self._rest]
        self._rest = b""
        while data := self.sock.recv(65536):
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


def get(port: int, host: str, target: str = "/", *fields: str) -> Reply:
    """Ask *port* once for *target* of *host* on a connection of its own."""
    with WireClient(port) as client:
        return client.get(host, target, *fields)


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def refuses(port: int) -> bool:
    """Whether nobody listens at *port*."""
    try:
        dial(("127.0.0.1", port)).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset by a listener's end
        return True
    return False


def _awaiting(method: bytes) -> h11.Connection:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1024 * 1024)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    if method != b"CONNECT":
        connection.send(h11.EndOfMessage())
    return connection
