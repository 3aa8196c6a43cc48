"""CONNECT on a stream: bytes both ways, and how each side's end reaches the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent import socket
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset

from meshproxy.errors import Forbidden
from meshproxy.h2.errors import ErrorCode
from meshproxy.http.headers import Headers
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.net.tunnel import Tunnel
from tests.kit.faults import RESET
from tests.kit.h2_serving import H2Serving, serving_h2
from tests.kit.h2_wire import GET, H2Wire, until
from tests.kit.pair import tcp_pair

CONNECT = ((":method", "CONNECT"), (":authority", "web:443"))


class Far:
    """A service that opens one tunnel, and the endpoint at the end of it."""

    def __init__(self) -> None:
        ours, self.endpoint = tcp_pair()
        self.stream = Stream(ours)
        self.requests: list[Request] = []
        self.finished = 0

    def serve(self, request: Request) -> Response:
        self.requests.append(request)
        response = Response(200, b"Connection Established", Headers())
        response.body = Tunnel(self.stream, b"", self._finish)
        return response

    def _finish(self) -> None:
        self.finished += 1
        self.stream.close()

    def error(self) -> int:
        """Return what the endpoint's socket has met, which is asked for once."""
        return self.endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def is_reset(self) -> bool:
        """Whether the endpoint reads nothing more but a reset."""
        try:
            assert self.endpoint.recv(100) == b""
        except ConnectionResetError:
            return True
        return False


@contextmanager
def tunnel(limits: Limits | None = None) -> Iterator[tuple[Far, H2Serving, H2Wire, int]]:
    """Give both ends of an open tunnel, the server and the stream."""
    far = Far()
    with serving_h2(far.serve, limits) as server, server.client() as wire:
        stream = wire.ask(CONNECT, ends=False)
        head = dict(wire.until(ResponseReceived, stream).headers)
        assert head == {":status": "200"}
        yield far, server, wire, stream
    until(lambda: far.finished == 1)
    far.endpoint.close()


def test_bytes_go_both_ways_and_each_end_is_passed_on() -> None:
    with tunnel() as (far, server, wire, stream):
        (request,) = far.requests
        assert (request.method, request.target) == (b"CONNECT", b"web:443")
        assert request.headers.get_all(b"host") == [b"web:443"]
        wire.send(stream, b"ping")
        assert far.endpoint.recv(100) == b"ping"
        far.endpoint.sendall(b"pong")
        assert wire.until(DataReceived, stream).data == b"pong"
        wire.send(stream, b"last", ends=True)
        assert far.endpoint.recv(100) == b"last"
        assert far.endpoint.recv(100) == b""
        far.endpoint.sendall(b"words")
        assert wire.until(DataReceived, stream).data == b"words"
        far.endpoint.shutdown(socket.SHUT_WR)
        assert wire.until((StreamEnded, StreamReset), stream).__class__ is StreamEnded
        until(lambda: server.count("streams") == 0)
        assert wire.body(wire.ask((*CONNECT[:1], (":authority", "web:1")))) != b""


def test_the_endpoint_may_end_first() -> None:
    with tunnel() as (far, _, wire, stream):
        far.endpoint.shutdown(socket.SHUT_WR)
        wire.until(StreamEnded, stream)
        wire.send(stream, b"still here", ends=True)
        assert far.endpoint.recv(100) == b"still here"
        assert far.endpoint.recv(100) == b""


def test_a_client_may_have_ended_at_once() -> None:
    far = Far()
    with serving_h2(far.serve) as server, server.client() as wire:
        stream = wire.ask(CONNECT)
        wire.until(ResponseReceived, stream)
        assert far.endpoint.recv(100) == b""
        far.endpoint.sendall(b"hello")
        far.endpoint.close()
        assert wire.body(stream) == b"hello"


def reset_stream(_: Far, wire: H2Wire, stream: int) -> None:
    wire.h2.reset_stream(stream, ErrorCode.CANCEL)
    wire.flush()


def leave(_: Far, wire: H2Wire, __: int) -> None:
    wire.sock.close()


def send_trailers(_: Far, wire: H2Wire, stream: int) -> None:
    wire.h2.send_headers(stream, [("a", "b")], end_stream=True)
    wire.flush()


@pytest.mark.parametrize("breaks", [reset_stream, leave, send_trailers])
def test_a_client_that_breaks_off_resets_the_endpoint(
    breaks: Callable[[Far, H2Wire, int], None],
) -> None:
    with tunnel() as (far, server, wire, stream):
        wire.send(stream, b"ping")
        assert far.endpoint.recv(100) == b"ping"
        breaks(far, wire, stream)
        assert far.is_reset()
        until(lambda: server.count("streams") == 0)


def test_trailers_are_an_error_of_the_stream() -> None:
    with tunnel() as (_, _, wire, stream):
        send_trailers(_, wire, stream)
        assert wire.until(StreamReset, stream).error_code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("breaks", [reset_stream, leave])
def test_a_client_that_breaks_off_after_its_end_resets_the_endpoint(
    breaks: Callable[[Far, H2Wire, int], None],
) -> None:
    with tunnel() as (far, server, wire, stream):
        wire.h2.end_stream(stream)
        wire.flush()
        assert far.endpoint.recv(100) == b""
        breaks(far, wire, stream)
        until(far.error)
        until(lambda: server.count("streams") == 0)


@pytest.mark.parametrize("half_closed", [False, True])
def test_an_endpoint_that_breaks_off_is_a_connect_error(half_closed: bool) -> None:
    with tunnel() as (far, _, wire, stream):
        wire.send(stream, b"ping", ends=half_closed)
        assert far.endpoint.recv(100) == b"ping"
        far.endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        far.endpoint.close()
        assert wire.until(StreamReset, stream).error_code == ErrorCode.CONNECT_ERROR


def test_an_endpoint_that_does_not_read_holds_the_client_back() -> None:
    with tunnel() as (far, _, wire, stream):
        sent = wire.fill(stream)
        while wire.h2.local_flow_control_window(stream) or not _is_full(wire, stream):
            sent += wire.fill(stream)
        assert sent < 16 << 20
        got = 0
        while got < sent:
            got += len(far.endpoint.recv(1 << 20))
        until(lambda: not _is_full(wire, stream))


def _is_full(wire: H2Wire, stream: int) -> bool:
    """Whether the window stays shut for a moment."""
    wire.glance()
    return not wire.h2.local_flow_control_window(stream)


def test_a_client_that_does_not_read_holds_the_endpoint_back_and_loses_its_tunnel() -> None:
    with tunnel(Limits(write_timeout=0.1)) as (far, _, wire, stream):
        with pytest.raises(ConnectionError):
            far.endpoint.sendall(bytes(64 << 20))
        assert wire.until(StreamReset, stream).error_code == ErrorCode.CANCEL


def test_silence_ends_a_tunnel() -> None:
    with tunnel(Limits(idle_seconds=0.05)) as (far, _, wire, stream):
        assert wire.until(StreamReset, stream).error_code == ErrorCode.CANCEL
        assert far.endpoint.recv(100) == b""


def test_a_draining_server_lets_a_tunnel_go_on_until_it_is_cut() -> None:
    with tunnel() as (far, server, wire, stream):
        session = server.session
        session.is_draining = True
        gevent.get_hub().loop.run_callback(session.end_idle)
        wire.send(stream, b"ping")
        assert far.endpoint.recv(100) == b"ping"
        session.cut()
        assert far.is_reset()


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ((":authority", "web:25"), "403", "not allowed, see connectPorts"),
        ((":authority", "web"), "400", "a host and a port"),
        ((":authority", "127.1:443"), "400", "dotted form"),
        ((":authority", "a,b:443"), "400", "not a host name"),
    ],
)
def test_where_a_tunnel_may_not_lead(fields: tuple[str, str], status: str, why: str) -> None:
    with serving_h2() as server, server.client() as wire:
        stream = wire.ask((CONNECT[0], fields), ends=False)
        assert dict(wire.until(ResponseReceived, stream).headers)[":status"] == status
        wire.until(StreamEnded, stream)
        assert wire.until(StreamReset, stream).error_code == ErrorCode.NO_ERROR
        assert why in str(server.refused[-1])


def test_a_body_in_a_connect_is_refused() -> None:
    with serving_h2() as server, server.client() as wire:
        stream = wire.ask((*CONNECT, ("content-length", "4")), ends=False)
        assert dict(wire.until(ResponseReceived, stream).headers)[":status"] == "400"
        assert server.refused


def test_a_service_that_refuses_answers_as_to_any_request() -> None:
    def refuse(_: Request) -> Response:
        raise Forbidden("not there")

    with serving_h2(refuse) as server, server.client() as wire:
        stream = wire.ask(CONNECT, ends=False)
        assert dict(wire.until(ResponseReceived, stream).headers)[":status"] == "403"
        wire.until(StreamEnded, stream)
        assert wire.until(StreamReset, stream).error_code == ErrorCode.NO_ERROR
        assert wire.body(wire.ask(GET)) != b""
