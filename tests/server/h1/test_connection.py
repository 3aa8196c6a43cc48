"""A connection answers what is a request, refuses what is not, and ends as it says."""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
import h11
import pytest
from gevent import socket
from gevent.event import Event

from meshproxy.errors import ConnectionClosed
from meshproxy.http.headers import Headers, of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from tests.kit.faults import RESET
from tests.kit.k8s import wait_until
from tests.kit.pair import plain
from tests.kit.serving import Serving, serving
from tests.kit.wire import CutShort, Reply, WireClient

LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Pieces:
    """A body that comes as it is told: bytes, or an error to raise."""

    parts: list[bytes | BaseException]
    trailers: Headers | None = None
    length: int | None = None
    closed: int = 0
    gate: Event | None = None
    """Opened by the test before the second piece comes."""

    @property
    def has_piece(self) -> bool:
        return self.gate is None

    def read(self) -> bytes:
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if isinstance(part, BaseException):
            raise part
        if self.gate is not None and self.parts:
            self.gate.wait()
        return part

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self.closed += 1


def exchange(raw: bytes, response: Response, method: bytes = b"GET") -> tuple[Reply, bytes]:
    """Return the reply to *raw*, and whatever follows it until the end."""
    with serving(lambda _request, _body: response) as server, WireClient(server.port) as client:
        client.send(raw)
        return client.read(method), client.read_to_end()


def test_a_body_of_unknown_length_is_chunked_to_a_1_1_client() -> None:
    body = Pieces([b"one", memoryview(b"two")], of((b"X-Sum", b"6")))
    reply, rest = exchange(LAST, Response(200, b"OK", Headers(), body))
    assert (reply.body, reply.get("transfer-encoding"), rest) == (b"onetwo", "chunked", b"")
    assert reply.trailers == [(b"x-sum", b"6")]
    assert body.closed


def test_an_empty_body_of_unknown_length_is_a_last_chunk() -> None:
    reply, _ = exchange(LAST, Response(200, b"OK", Headers(), Pieces([])))
    assert (reply.body, reply.get("transfer-encoding")) == (b"", "chunked")


@pytest.mark.parametrize("asks", [b"", b"Connection: keep-alive\r\n"])
def test_a_body_of_unknown_length_ends_with_the_connection_to_a_1_0_client(asks: bytes) -> None:
    raw = b"GET / HTTP/1.0\r\n" + asks + b"\r\n"
    reply, _ = exchange(raw, Response(200, b"OK", Headers(), Pieces([b"one", b"two"])))
    assert (reply.body, reply.get("transfer-encoding")) == (b"onetwo", None)
    assert reply.get("connection") == "close"


def test_a_1_0_client_is_kept_when_it_asks_and_told_so() -> None:
    with serving() as server, WireClient(server.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.read().get("connection") == "keep-alive"
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read().get("connection") == "close"
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"HEAD", 404)]
)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_response_that_has_no_body_gets_none(
    method: bytes, status: int, *, streamed: bool
) -> None:
    body = Pieces([b"never"]) if streamed else b"never"
    response = Response(status, b"", of((b"Content-Length", b"5")), body)
    with serving(lambda _request, _body: response) as server, WireClient(server.port) as client:
        client.send(method + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.read_to_end().endswith(b"\r\n\r\n")
    assert not streamed or body.closed


@pytest.mark.parametrize("rest", [b"Host: a\r\nHost: a\r\n\r\n", b"X: a\nb"])
def test_a_refused_head_request_gets_no_body(rest: bytes) -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(b"HEAD / HTTP/1.1\r\n" + rest)
        raw = client.read_to_end()
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.endswith(b"\r\n\r\n")


def test_a_date_is_added_only_where_none_is() -> None:
    own, _ = exchange(LAST, text_response(200, "x"))
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", own.get("date") or "")
    response = text_response(200, "x")
    response.headers.add(b"Date", b"long ago")
    assert exchange(LAST, response)[0].get("date") == "long ago"


def test_the_first_piece_is_sent_before_the_second_has_come() -> None:
    gate = Event()
    body = Pieces([b"first", b"second"], gate=gate)
    gate.set()
    later = Event()

    def read_second(pieces: Pieces = body, plain: Any = Pieces.read) -> bytes:
        if len(pieces.parts) == 1:
            later.wait()
        return plain(pieces)

    streaming = Response(200, b"OK", Headers(), _With(body, read_second))
    with (
        serving(lambda _request, _body: streaming) as server,
        WireClient(server.port) as client,
    ):
        client.send(LAST)
        seen = b""
        while b"first" not in seen:
            seen += client.sock.recv(65536)
        later.set()
        assert client.read_to_end() == b"6\r\nsecond\r\n0\r\n\r\n"


class _With:
    """A body with another way to read."""

    def __init__(self, body: Pieces, read: Any) -> None:
        self.read, self.close = read, body.close
        self.trailers, self.length, self.has_piece = None, None, False


CUT = ConnectionClosed("the endpoint went away")


@pytest.mark.parametrize("error", [CUT, RuntimeError("a fault"), gevent.GreenletExit()])
@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        pytest.param(GET, Headers(), id="chunked"),
        pytest.param(GET, of((b"Content-Length", b"9")), id="counted"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", Headers(), id="until close"),
    ],
)
def test_a_body_cut_short_is_visibly_cut_short(
    raw: bytes, headers: Headers, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    body = Pieces([b"part", error])
    with pytest.raises((CutShort, ConnectionResetError, h11.RemoteProtocolError)):
        exchange(raw, Response(200, b"OK", headers.copy(), body))
    assert body.closed
    capsys.readouterr()  # gevent tells of the RuntimeError


def test_expect_is_met_only_when_the_service_asks() -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(POST[:-2] + b"Expect: 100-Continue\r\n\r\n")
        assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read().informational == []
        assert server.lines == ["POST / hello"]
        assert "expect" not in dict(server.served[0].fields)


def test_expect_is_not_met_when_the_service_answers_without_the_body() -> None:
    with serving(reads_body=False) as server, WireClient(server.port) as client:
        client.send(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
        reply = client.read()
        assert (reply.informational, reply.get("connection")) == ([], "close")
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    "raw",
    [
        POST[:-2] + b"Expect: 100-continue\r\n\r\nhello",
        POST[:-2] + b"Expect: 100-continue\r\n\r\nhel",
        CHUNKED_POST[:-2] + b"Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: something\r\n\r\nhello",
        GET[:-2] + b"Expect: 100-continue\r\n\r\n",
    ],
)
def test_expect_is_not_met_when_nobody_waits_for_it(raw: bytes) -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(raw)
        if raw.endswith(b"hel"):
            gevent.sleep(0)
            client.send(b"lo")
        assert client.read().informational == []
        assert server.lines[0].endswith(("hello", " "))


@pytest.mark.parametrize(
    ("limits", "raw", "status"),
    [
        pytest.param({}, b"GET /" + b"x" * 5000, 414, id="a line without end"),
        pytest.param({}, b"GET /" + b"x" * 4090 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="line"),
        pytest.param({}, GET[:-2] + b"X: " + b"x" * 9000, 431, id="a field without end"),
        pytest.param({}, GET[:-2] + b"X: " + b"x" * 8190 + b"\r\n\r\n", 431, id="a long field"),
        pytest.param({}, GET[:-2] + b"X: y\r\n" * 1500 + b"\r\n", 431, id="many bytes"),
        pytest.param({}, GET[:-2] + b"X: y\r\n" * 128 + b"\r\n", 431, id="129 fields"),
        pytest.param({"header_bytes": 100}, GET[:-2] + b"X: " + b"x" * 100 + b"\r\n\r\n", 431,
                     id="less than a line"),
        pytest.param({}, b"\r\n" * 5000, 431, id="a flood of empty lines"),
        pytest.param({"body_bytes": 4}, POST + b"hello", 413, id="a long body"),
        pytest.param({"body_bytes": 4}, CHUNKED_POST + b"5\r\nhello\r\n0\r\n\r\n", 413,
                     id="a long chunked body"),
        pytest.param({"body_bytes": 4}, POST[:-2] + b"Expect: 100-continue\r\n\r\n", 413,
                     id="a long body announced"),
        pytest.param({}, CHUNKED_POST + b"1;"
                     + b"x" * 5000, 400, id="a long chunk line"),
        pytest.param({}, CHUNKED_POST
                     + (b"1;" + b"x" * 4000 + b"\r\nx\r\n") * 17, 400, id="long chunk lines"),
        pytest.param({}, CHUNKED_POST + b"0\r\nX: "
                     + b"x" * 9000, 400, id="long trailers"),
        pytest.param({}, CHUNKED_POST + b"0\r\n"
                     + b"X: y\r\n" * 129 + b"\r\n", 400, id="many trailers"),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused(limits: dict[str, int], raw: bytes, status: int) -> None:
    with serving(limits=Limits(**limits)) as server, WireClient(server.port) as client:
        client.send(raw)
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (status, "close")
        assert reply.get("l5d-err")
        assert client.read_to_end() == b""
        assert server.served == []


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"x" * 4082 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        GET[:-2] + b"X: " + b"x" * 8100 + b"\r\n\r\n",
        GET[:-2] + b"X: y\r\n" * 127 + b"\r\n",
        b"\r\n" * 4000 + GET,
    ],
)
def test_what_is_just_within_the_limits_is_served(raw: bytes) -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(raw)
        assert client.read().status == 200


@pytest.mark.parametrize("head", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\nGET"])
def test_a_head_that_does_not_end_is_a_408(head: bytes) -> None:
    with serving(limits=Limits(head_seconds=0.05)) as server, WireClient(server.port) as client:
        client.send(head)
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (408, "close")
        assert client.read_to_end() == b""


def test_a_head_has_one_deadline_however_often_a_byte_comes() -> None:
    with serving(limits=Limits(head_seconds=0.2)) as server, WireClient(server.port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = gevent.spawn(client.read)
        for byte in GET[:-2] + b"X: " + b"x" * 2000:
            if reading.ready():
                break
            client.send(bytes([byte]))
            gevent.sleep(0.01)
        assert reading.get().status == 408


@pytest.mark.parametrize("after", [b"", GET, b"\r\n"])
def test_an_idle_connection_is_closed_without_a_word(after: bytes) -> None:
    limits = Limits(idle_seconds=0.05, head_seconds=0.05)
    with serving(limits=limits) as server, WireClient(server.port) as client:
        client.send(after)
        if after == GET:
            assert client.read().status == 200
        assert client.read_to_end() == b""


@pytest.mark.parametrize("reads", [True, False])
def test_a_body_that_does_not_come_is_a_408(*, reads: bool) -> None:
    """A service that does not want the body answers without waiting for it."""
    limits = Limits(read_idle=0.05)
    with (
        serving(limits=limits, reads_body=reads) as server,
        WireClient(server.port) as client,
    ):
        client.send(POST + b"hel")
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (408 if reads else 200, "close")
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    "raw",
    [
        POST + b"hel",
        CHUNKED_POST + b"5\r\nhello\r\n",
        CHUNKED_POST + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_an_end_within_the_body_is_a_400_for_who_still_listens(raw: bytes) -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(raw)
        client.sock.shutdown(socket.SHUT_WR)
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (400, "close")
        assert server.served == []
        wait_until(lambda: server.metrics.counter("client_aborts").value == 1)


@pytest.mark.parametrize("raw", [b"", b"GET / HTTP/1.1\r\nHo", b"\r\n"])
def test_an_end_before_a_whole_head_is_an_end(raw: bytes) -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(raw)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b""
        assert server.served == []


def test_a_client_that_half_closes_after_its_request_gets_its_answer() -> None:
    with serving() as server, WireClient(server.port) as client:
        client.send(POST + b"hello")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read().body == b"ok"


def test_a_client_that_still_sends_reads_the_answer_and_no_reset() -> None:
    def refuse(_request: Request, _body: bytes) -> Response:
        return text_response(403, "no")

    with serving(refuse, reads_body=False) as server, WireClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(10):
            client.send(b"x" * 20_000)
            gevent.sleep(0)
        reply = client.read()
        assert (reply.status, reply.get("connection")) == (403, "close")
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param(b"Content-Length: 5\r\n\r\nhello", True, id="all there"),
        pytest.param(b"Content-Length: 6\r\n\r\nhello", False, id="part there"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", True, id="chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1\r\n", False, id="part of a chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", False, id="no chunk"),
    ],
)
def test_a_body_nobody_read_is_passed_over_only_if_it_is_there(body: bytes, *, kept: bool) -> None:
    with serving(reads_body=False) as server, WireClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + body)
        assert client.read().get("connection") == (None if kept else "close")
        if kept:
            client.send(LAST)
            assert client.read().status == 200
        assert client.read_to_end() == b""


def test_a_client_that_reads_nothing_is_cut_off() -> None:
    closed = Event()
    body = Pieces([b"x" * 1_000_000] * 100)
    body.close = closed.set  # type: ignore[method-assign]
    response = Response(200, b"OK", Headers(), body)
    with (
        serving(lambda _request, _body: response, Limits(write_timeout=0.1)) as server,
        WireClient(server.port) as client,
    ):
        client.send(GET)
        assert closed.wait(10)
        with pytest.raises(ConnectionResetError):
            client.read_to_end()
        wait_until(lambda: server.metrics.counter("write_timeout").value == 1)
    assert body.parts


@pytest.mark.parametrize(("raw", "losses"), [(GET, 1), (POST, 1), (GET[:9], 1), (b"", 0)])
def test_a_reset_ends_what_a_request_waits_for(raw: bytes, losses: int) -> None:
    has_ended, forever = Event(), Event()

    def wait(_request: Request, _body: bytes) -> Response:
        try:
            forever.wait()
        finally:
            has_ended.set()
        raise AssertionError("nothing came")

    with serving(wait, reads_body=False) as server:
        client = WireClient(server.port)
        client.send(raw)
        wait_until(lambda: len(server.served) == (raw in (GET, POST)))
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        assert raw not in (GET, POST) or has_ended.wait(10)
        wait_until(lambda: server.metrics.counter("closes").value == 1)
        assert server.metrics.counter("client_aborts").value == losses


def test_many_requests_in_a_row_are_answered_in_order() -> None:
    def echo(request: Request, _body: bytes) -> Response:
        return text_response(200, request.target.decode())

    with serving(echo) as server, WireClient(server.port) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(500)))
        assert [client.read().body for _ in range(500)] == [b"/%d" % n for n in range(500)]


def test_many_requests_in_a_row_leave_others_their_turn() -> None:
    def answer(request: Request, _body: bytes) -> Response:
        if request.target == b"/first":
            other.send(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
        return text_response(200, "x")

    with (
        serving(answer) as server,
        WireClient(server.port) as many,
        WireClient(server.port) as other,
    ):
        more = b"GET /more HTTP/1.1\r\nHost: a\r\n\r\n" * 1500
        many.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n" + more)
        assert [many.read().status for _ in range(1501)] == [200] * 1501
        assert server.lines.index("GET /other ") < 750


def test_a_fault_of_the_service_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_request: Request, _body: bytes) -> Response:
        raise RuntimeError("a fault")

    with serving(fail) as server, WireClient(server.port) as client:
        client.send(GET)
        assert client.read().status == 500
        assert client.get("a").status == 500
    assert "RuntimeError" in caplog.text


def test_the_request_knows_both_ends_of_its_connection() -> None:
    peers: list[tuple[str, str]] = []

    def note(request: Request, _body: bytes) -> Response:
        assert request.peer
        peers.append((request.peer.remote, request.peer.local))
        return text_response(200, "ok")

    with serving(note) as server, WireClient(server.port) as client:
        client.get("a")
        own = "{}:{}".format(*client.sock.getsockname())
        assert peers == [(own, f"127.0.0.1:{server.port}")]


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (b"1.1", {"transfer-encoding": "chunked", "content-length": None, "connection": None}),
        (b"1.0", {"transfer-encoding": None, "content-length": None, "connection": "close"}),
    ],
)
@pytest.mark.parametrize("body", [b"ok!", b""])
def test_a_whole_body_that_came_in_chunks_goes_on_so(
    version: bytes, fields: dict[str, str | None], body: bytes
) -> None:
    response = Response(200, b"OK", Headers(), body)
    response.in_chunks = True
    with serving(lambda *_: response) as server, WireClient(server.port) as client:
        client.send(b"GET / HTTP/%b\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" % version)
        reply = client.read()
        assert (reply.body, {name: reply.get(name) for name in fields}) == (body, fields)


# --- with more to do in a turn of the loop ---


@contextmanager
def asked_in_one_turn(server: Serving) -> Iterator[list[WireClient]]:
    """Three clients whose requests come at once, so that the answers wait for the turn's end."""
    with ExitStack() as made:
        clients = [made.enter_context(WireClient(server.port)) for _ in range(3)]
        for client in clients:
            client.send(GET)
            client.read()
        for client in clients:
            client.sock.send(GET)
        yield clients


def test_answers_of_one_turn_go_each_to_its_own_client() -> None:
    def port(asked: Request, _: bytes) -> Response:
        return text_response(200, asked.peer.remote if asked.peer else "")

    with serving(port) as server, asked_in_one_turn(server) as clients:
        for client in clients:
            host, port_ = client.sock.getsockname()
            assert client.read().body == f"{host}:{port_}".encode()


def test_an_answer_larger_than_the_buffers_comes_whole() -> None:
    with (
        serving(lambda *_: Response(200, b"OK", Headers(), b"x" * 6_000_000)) as server,
        asked_in_one_turn(server) as clients,
    ):
        for client in clients:
            assert len(client.read().body) == 6_000_000
            client.send(LAST)
        assert [len(client.read().body) for client in clients] == [6_000_000] * 3


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param(b"GET / HT", b"TP/1.1\r\nHost: a\r\n\r\n", id="head"),
        pytest.param(POST, b"hello", id="body"),
    ],
)
def test_a_large_answer_that_waits_comes_before_the_rest_of_the_next_request(
    begin: bytes, end: bytes
) -> None:
    large = b"x" * 6_000_000
    with ExitStack() as made:
        gates = [made.enter_context(plain()) for _ in range(3)]
        closed = [stream for stream, _ in gates]

        def gated(_request: Request, body: bytes) -> Response:
            if not closed:
                return text_response(200, "next" + body.decode())
            closed.pop().receive(math.inf)
            return Response(200, b"OK", Headers(), large)

        server = made.enter_context(serving(gated))
        clients = [made.enter_context(WireClient(server.port)) for _ in gates]
        for client in clients:
            client.send(GET)
        wait_until(lambda: not closed)
        for client in clients:
            client.send(begin)
        wait_until(lambda: all(one._stream.is_readable for one in server.listener._connections))
        for _, gate in gates:
            gate.sendall(b"open")
        for client in clients:
            assert client.read().body == large
            client.send(end)
            assert client.read().body.startswith(b"next")


def test_a_client_that_does_not_take_what_waited_is_cut_off() -> None:
    limits = Limits(write_timeout=0.1)
    with (
        serving(lambda *_: Response(200, b"OK", Headers(), b"x" * 20_000_000), limits) as server,
        ExitStack() as made,
    ):
        clients = [made.enter_context(WireClient(server.port)) for _ in range(3)]
        gevent.sleep(0)
        for client in clients:
            client.sock.send(GET)
        wait_until(lambda: server.metrics.counter("write_timeout").value == 3)


def test_an_answer_that_waits_when_connections_are_drained_is_not_lost() -> None:
    drained: list[Event] = []

    def drains(_request: Request, _body: bytes) -> Response:
        if drained and not drained[0].is_set():
            drained[0].set()
            for connection in server.listener._connections:
                gevent.get_hub().loop.run_callback(connection.end_idle)
        return text_response(200, "ok")

    with serving(drains) as server, asked_in_one_turn(server) as clients:
        drained.append(Event())
        assert [client.read().body for client in clients] == [b"ok"] * 3
