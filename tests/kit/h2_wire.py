"""HTTP/2 on sockets: PyPI's `h2` at the far end, and a session of ours without server or client."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import gevent
from gevent import socket
from h2.config import H2Configuration
from h2.connection import H2Connection as Oracle
from h2.events import DataReceived, Event, StreamEnded, StreamReset
from h2.settings import SettingCodes

from meshproxy.errors import BadRequest, ClientGone, ProxyError, RequestTimedOut
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.fields import RequestHead
from meshproxy.h2.reset import ClientReset
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.net.body import Faults
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.session import H2Session
from meshproxy.net.h2.stream import SessionStream
from meshproxy.net.stream import Stream

from .pair import tcp_pair
from .wire import WAIT_S

FAULTS = Faults(malformed=BadRequest, closed=ClientGone, timed_out=RequestTimedOut)
GET = (
    (":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/"),
)  # fmt: skip
POST = ((":method", "POST"), *GET[1:])


class H2Wire:
    """A client, by PyPI's `h2`, at the end of a socket."""

    def __init__(self, sock: Any, window: int | None = None) -> None:
        """*window* is that of each stream, and of the connection."""
        self.sock = sock
        sock.settimeout(WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,  # h2 4.1 knows no CONNECT
        )
        self.h2 = Oracle(config)
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
            self.h2.increment_flow_control_window(window - 65535)
        self._events: list[Event] = []
        self.flush()

    def flush(self) -> None:
        """Send what `h2` has to say."""
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, headers: Any = GET, body: bytes | None = None, *, ends: bool = True) -> int:
        """Send a request and return its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, headers, end_stream=ends and body is None)
        if body is not None:
            self.send(stream_id, body, ends=ends)
        self.flush()
        return stream_id

    def send(self, stream_id: int, data: bytes, *, ends: bool = False) -> None:
        """Send a piece of a body."""
        for at in range(0, len(data), 16384):
            self.h2.send_data(stream_id, data[at : at + 16384])
        if ends:
            self.h2.end_stream(stream_id)
        self.flush()

    def fill(self, stream_id: int) -> int:
        """Send as much of a body as the windows allow, and return how much that was."""
        count: int = self.h2.local_flow_control_window(stream_id)
        self.send(stream_id, bytes(count))
        return count

    def glance(self) -> None:
        """Read what has arrived, without waiting, for `h2` to know."""
        with gevent.Timeout(0.01, False):
            data = self.sock.recv(65536)
            self._events += self.h2.receive_data(data)
            self.flush()

    def events(self) -> Iterator[Event]:
        """Yield what happens, until the far end closes."""
        while True:
            while self._events:
                yield self._events.pop(0)
            data = self.sock.recv(65536)
            if not data:
                return
            self._events += self.h2.receive_data(data)
            self.flush()

    def until(self, kind: Any, stream_id: int | None = None) -> Any:
        """Return the next event of *kind*, of that stream if one is given."""
        for event in self.events():
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None)):
                return event
        raise AssertionError(f"the connection was closed before {kind}")

    def body(self, stream_id: int) -> bytes:
        """Read a response's body, granting the windows again."""
        found = []
        for event in self.events():
            if isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
                if event.stream_id == stream_id:
                    found.append(event.data)
            if getattr(event, "stream_id", None) == stream_id:
                if isinstance(event, StreamEnded):
                    return b"".join(found)
                assert not isinstance(event, StreamReset), event
        raise AssertionError("the connection was closed within a body")


class Owner(SessionStream):
    """A stream that notes what becomes of it."""

    def __init__(self, session: "Bare", head: RequestHead, ends: bool) -> None:
        self.session = session
        self.inbound = self._outbound = self.failure = None
        self.head = head
        self.said: list[tuple[str, object]] = []
        if not ends:
            self.inbound = Inbound(self, head.length, FAULTS, **session.body)

    def output_ended(self) -> None:
        self.said.append(("output_ended", None))

    def source_failed(self, error: ProxyError) -> None:
        self.said.append(("source_failed", type(error)))
        self.reset(ErrorCode.INTERNAL_ERROR, error)

    def sink_lost(self, code: int) -> None:
        self.said.append(("sink_lost", code))

    def input_closed(self) -> None:
        self.said.append(("input_closed", None))

    def stalled(self) -> None:
        self.said.append(("stalled", None))
        self.reset(ErrorCode.CANCEL, ClientReset("it does not read"))


class Bare(H2Session):
    """A server's session that does nothing with its streams but keep them in `owners`."""

    def __init__(self, stream: Stream, limits: Limits, **local: Any) -> None:
        super().__init__(stream, limits)
        self.engine = H2Server(self, LocalSettings(**local), monotonic())
        self.owners: dict[int, Owner] = {}
        self.unended_streams = 0
        self.body: dict[str, Any] = {"idle_seconds": WAIT_S}

    def request_received(self, stream_id: int, head: RequestHead | None, ends: bool) -> Owner:
        assert head is not None
        self.owners[stream_id] = Owner(self, head, ends)
        return self.owners[stream_id]

    def stream_refused(self) -> None:
        raise NotImplementedError

    def large_heads(self, size: int) -> None:
        """Count nothing."""

    def unended(self) -> None:
        self.unended_streams += 1

    def error_of_reset(self, code: int) -> ProxyError:
        return ClientReset("reset", code)

    def error_of_fault(self, why: str) -> ProxyError:
        return BadRequest(why)

    def error_of_loss(self, why: str) -> ProxyError:
        return ClientReset(why)

    def owner(self, stream_id: int) -> Owner:
        """Return the owner of a stream once it has come."""
        until(lambda: stream_id in self.owners)
        return self.owners[stream_id]


@contextmanager
def bare(limits: Limits = Limits(), **local: Any) -> Iterator[tuple[Bare, Any]]:  # noqa: B008
    """Give a running session and the socket of its client; both are closed afterwards."""
    ours, theirs = tcp_pair()
    session = Bare(Stream(ours), limits, **local)
    session.start()
    try:
        with gevent.Timeout(WAIT_S):
            yield session, theirs
    finally:
        session.lost("")
        theirs.close()


def until(condition: Callable[[], object]) -> None:
    """Let other greenlets run until *condition* is true."""
    with gevent.Timeout(WAIT_S):
        while not condition():
            gevent.sleep(0.001)


def answer(owner: Owner, *, ends: bool = False) -> None:
    """Send a response's head."""
    owner.session.engine.send_fields(owner, ((b":status", b"200"),), ends=ends)
    owner.session.touch()


def raw_frames(sock: socket.socket) -> bytes:
    """Return everything up to the end of the connection, however it ends."""
    found = b""
    try:
        while data := sock.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found
