"""One request and its response on a connection: what is taken, what is refused, what is kept."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import gevent
import pytest
from gevent import socket
from gevent.select import select

from meshproxy.client.connection import PlainConnection
from meshproxy.client.h1.exchange import Exchange
from meshproxy.errors import (
    BadResponse,
    BodyTooLarge,
    ClientGone,
    ConnectionClosed,
    NoResponse,
    ProxyError,
    ServiceTimedOut,
)
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.server.h1.request_body import ClientBody
from tests.kit.badserver import BadServer, Reset, Send, Stall, Step, Until
from tests.kit.connections import unopened
from tests.kit.k8s import wait_until
from tests.kit.messages import Pieces, body_of, request
from tests.kit.pair import plain
from tests.kit.wire import WAIT_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BIG = b"x" * 20_000_000
"""More than the buffers of two sockets hold."""


@dataclass
class Talk:
    """A connection to a scripted endpoint, and what became of the exchanges on it."""

    connection: PlainConnection
    endpoint: BadServer
    released: list[bool] = field(default_factory=list)
    """For each exchange that is over, whether the connection may be used again."""
    broken: list[bool] = field(default_factory=list)
    """For each body that was still coming and is over, whether the endpoint broke it off."""
    limits: Limits = field(default_factory=Limits)

    def __call__(self, asked: Request | None = None, seconds: float = 10.0) -> Response:
        exchange = Exchange(
            self.connection, self.limits, lambda _, reusable: self.released.append(reusable)
        )
        response = exchange.run(asked or request(), monotonic() + seconds)
        if response.ending is not None:
            response.ending.then(self.broken.append)
        return response


@contextmanager
def talking(*steps: Step, limits: Limits | None = None) -> Iterator[Talk]:
    """Connect to an endpoint that does *steps* and then closes."""
    with BadServer([steps]) as endpoint:
        connection = unopened(endpoint.port)
        connection.connect()
        try:
            yield Talk(connection, endpoint, limits=limits or Limits())
        finally:
            connection.close()


@contextmanager
def uploading(length: int, limits: Limits | None = None) -> Iterator[tuple[Request, socket.socket]]:
    """Make a POST whose body comes from a client, and the client's end of the line."""
    near, far = socket.socketpair()
    stream = Stream(near)
    try:
        body = ClientBody(stream, length, b"", limits or Limits(), None, lambda _rest: None)
        head = of((b"Host", b"web"), (b"Content-Length", b"%d" % length))
        yield Request(b"POST", b"/", b"1.1", head, body), far
    finally:
        stream.close()
        far.close()


# --- requests out ---


def test_a_request_is_its_line_and_its_fields_and_nothing_else() -> None:
    with talking(Until(), Send(OK)) as talk:
        talk(request((b"X-Odd", b"\xe9")))
        assert talk.endpoint.received[0] == b"GET / HTTP/1.1\r\nHost: web\r\nX-Odd: \xe9\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (Pieces(b"ab", b"cd"), b"Content-Length: 4\r\n\r\nabcd"),
        (
            Pieces(b"ab", b"cdefghijklmnopq", chunked=True),
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nf\r\ncdefghijklmnopq\r\n0\r\n\r\n",
        ),
        (Pieces(chunked=True), b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            Pieces(b"a", chunked=True, trailers=of((b"X-Sum", b"7"))),
            b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n",
        ),
    ],
    ids=["counted", "chunked", "chunked and empty", "trailers"],
)
def test_a_body_goes_out_with_exactly_one_framing(body: Pieces, wire: bytes) -> None:
    with talking(Until(wire[-5:]), Send(OK)) as talk:
        assert body_of(talk(request(method=b"POST", body=body))) == b"ok"
        assert talk.endpoint.received[0] == b"POST / HTTP/1.1\r\nHost: web\r\n" + wire


def test_what_the_client_does_wrong_aborts_the_request_and_closes() -> None:
    limits = Limits(body_bytes=3)
    with talking(Until(b"never")) as talk, uploading(4, limits) as (asked, client):
        client.sendall(b"abcd")
        with pytest.raises(BodyTooLarge):
            talk(asked)
        assert talk.connection.stream is None


def test_a_client_that_leaves_in_its_body_leaves_no_complete_request() -> None:
    with talking(Until(b"never")) as talk, uploading(10) as (asked, client):
        client.sendall(b"abc")
        client.close()
        with pytest.raises(ClientGone):
            talk(asked)
        wait_until(lambda: talk.endpoint.ended)
        assert talk.endpoint.received[0].endswith(b"\r\n\r\nabc")


def test_an_answer_before_the_end_of_the_body_is_not_waited_for_in_vain() -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with talking(Until(), Send(early), Stall()) as talk, uploading(10) as (asked, client):
        client.sendall(b"abc")
        assert talk(asked).status == 413
        assert talk.released == [False]


def test_informational_responses_do_not_stop_a_body_that_comes_slowly() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    script = [Until(), Send(interim), Until(b"def"), Send(interim + OK), Stall()]
    with talking(*script) as talk, uploading(6) as (asked, client):
        client.sendall(b"abc")
        sending = gevent.spawn(talk, asked)
        wait_until(lambda: talk.endpoint.received and b"abc" in talk.endpoint.received[0])
        wait_until(lambda: not select([talk.connection.stream.sock], [], [], 0)[0])
        client.sendall(b"def")
        assert body_of(sending.get(timeout=WAIT_S)) == b"ok"
        assert talk.endpoint.received[0].endswith(b"abcdef")
        assert talk.released == [True]


@pytest.mark.parametrize("chunked", [False, True])
def test_informational_responses_do_not_stop_a_body_that_is_large(*, chunked: bool) -> None:
    script = [Until(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Until(b"end"), Send(OK), Stall()]
    with talking(*script) as talk:
        body = Pieces(b"first", BIG[:10_000_000], b"end", chunked=chunked)
        assert body_of(talk(request(method=b"POST", body=body))) == b"ok"
        assert talk.released == [True]


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_to_a_body_that_nobody_reads_is_passed_on(*, chunked: bool) -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with talking(Until(), Send(early), Stall()) as talk:
        asked = request(method=b"POST", body=Pieces(b"first", BIG, chunked=chunked))
        assert talk(asked).status == 413
        assert talk.released == [False]


def test_an_answer_is_found_although_the_endpoint_closed_on_a_large_first_piece() -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with talking(Until(), Send(early)) as talk:
        assert talk(request(method=b"POST", body=Pieces(BIG))).status == 413
        assert talk.released == [False]


def test_a_body_that_nobody_reads_ends_with_the_deadline() -> None:
    with talking(Stall()) as talk, pytest.raises(ServiceTimedOut):
        talk(request(method=b"POST", body=Pieces(b"first", BIG)), 0.05)


def test_nothing_more_is_sent_after_the_deadline() -> None:
    with talking(Until(b"never")) as talk:
        with pytest.raises(ServiceTimedOut):
            talk(request(method=b"POST", body=Pieces(b"first", b"second")), 0)
        wait_until(lambda: talk.endpoint.ended)
        assert talk.endpoint.received[0].endswith(b"\r\n\r\nfirst")


def test_a_body_that_never_ends_is_no_reason_to_miss_the_deadline() -> None:
    with talking(Until(b"never")) as talk:
        body = Pieces(*[b"x" * 100_000] * 100_000, chunked=True)
        with pytest.raises(ServiceTimedOut):
            talk(request(method=b"POST", body=body), 0.05)


# --- response heads ---


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 200", 200, b""),
        (b"HTTP/1.1 200 ", 200, b""),
        (b"HTTP/1.1 999 \xe9 b", 999, b"\xe9 b"),
        (b"HTTP/1.0 404 Not Found", 404, b"Not Found"),
    ],
)
def test_status_lines_that_pass(line: bytes, status: int, reason: bytes) -> None:
    with talking(Until(), Send(line + b"\r\nContent-Length: 0\r\n\r\n")) as talk:
        found = talk()
        assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 000 Zero\r\n\r\n",
        b"HTTP/1.1 20 Short\r\n\r\n",
        b"HTTP/1.1 2000 Long\r\n\r\n",
        b"HTTP/1.1 2x0 Odd\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>an answer of HTTP/0.9</html>",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1.0\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 304 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 65 + OK,
        b"HTTP/1.1 200 " + b"x" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 129 + b"\r\n",
    ],
)
def test_a_head_that_breaks_the_rules_is_refused_and_the_connection_closed(head: bytes) -> None:
    with talking(Until(), Send(head), Stall()) as talk:
        with pytest.raises(BadResponse):
            talk()
        assert talk.connection.stream is None


def test_a_head_may_come_byte_by_byte() -> None:
    steps = [Send(OK[at : at + 1]) for at in range(len(OK))]
    with talking(Until(), *steps) as talk:
        assert body_of(talk()) == b"ok"


@pytest.mark.parametrize("count", [1, 64])
def test_informational_responses_are_passed_over(count: int) -> None:
    early = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * count
    with talking(Until(), Send(early + OK)) as talk:
        found = talk()
        assert (found.status, body_of(found)) == (200, b"ok")
        assert b"link" not in found.headers


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([Until()], NoResponse),
        ([Until(), Reset()], NoResponse),
        ([Until(), Send(b"HTTP/1.1 200 OK\r\nContent-Le")], ConnectionClosed),
        ([Until(), Send(b"HTTP/1.1 100 Continue\r\n\r\n")], ConnectionClosed),
    ],
    ids=["end", "reset", "end in the head", "end after a 100"],
)
def test_an_end_before_the_head_is_over(steps: list[Step], error: type[ProxyError]) -> None:
    with talking(*steps) as talk:
        with pytest.raises(ConnectionClosed) as raised:
            talk()
        assert type(raised.value) is error
        assert talk.connection.stream is None


def test_an_upload_may_take_longer_than_the_silence_after_it() -> None:
    limits = Limits(first_byte=0.1)
    with (
        talking(Until(b"end"), Send(OK), limits=limits) as talk,
        uploading(8, limits) as (asked, client),
    ):
        begun = monotonic()
        sending = gevent.spawn(talk, asked, math.inf)
        client.sendall(b"begin")
        wait_until(lambda: monotonic() > begun + 2 * limits.first_byte)
        client.sendall(b"end")
        assert sending.get(timeout=WAIT_S).status == 200


def test_silence_after_an_upload_ends() -> None:
    limits = Limits(first_byte=0.05)
    with talking(Until(b"end"), Stall(), limits=limits) as talk, uploading(3, limits) as given:
        asked, client = given
        client.sendall(b"end")
        with pytest.raises(ServiceTimedOut):
            talk(asked, math.inf)


def test_an_end_before_the_first_byte_says_that_something_was_sent() -> None:
    with talking(Until(), Reset()) as talk, pytest.raises(NoResponse) as raised:
        talk()
    assert not raised.value.nothing_sent


def test_a_request_of_which_nothing_was_taken_is_untouched() -> None:
    with talking(Reset()) as talk:
        wait_until(lambda: not talk.connection.is_connected)
        with pytest.raises(NoResponse) as raised:
            talk()
        assert raised.value.nothing_sent


def test_a_request_of_which_a_part_was_taken_is_not_untouched() -> None:
    with talking(Until(b"x" * 100_000), Reset()) as talk, pytest.raises(NoResponse) as raised:
        talk(request(method=b"POST", body=Pieces(BIG)))
    assert not raised.value.nothing_sent


@pytest.mark.parametrize(
    "steps",
    [[Until(), Stall()], [Until(), Send(b"HTTP/1.1 200 OK\r\nX: "), Stall()]],
    ids=["before the head", "in the head"],
)
def test_a_stall_ends_with_the_deadline_and_the_connection(steps: list[Step]) -> None:
    with talking(*steps) as talk:
        with pytest.raises(ServiceTimedOut):
            talk(seconds=0.05)
        assert talk.connection.stream is None


# --- response bodies and whether the connection lives on ---

EMPTY = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "answer", "body", "is_reused"),
    [
        pytest.param(b"GET", OK, b"ok", True, id="counted"),
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            b"ok",
            True,
            id="the same length twice",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n",
            b"ok",
            True,
            id="chunked",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
            b"ok",
            False,
            id="both framings: chunked wins, not reused",
        ),
        pytest.param(
            b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"", False, id="HEAD"
        ),
        pytest.param(
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"",
            False,
            id="HEAD of a chunked body",
        ),
        pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\n" + EMPTY, b"", True, id="HEAD of nothing"),
        pytest.param(b"HEAD", OK, b"", False, id="HEAD with a body"),
        pytest.param(
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n",
            b"",
            False,
            id="HEAD with both framings",
        ),
        pytest.param(b"GET", b"HTTP/1.1 204 No\r\n\r\n", b"", True, id="204"),
        pytest.param(b"GET", b"HTTP/1.1 204 No\r\n" + EMPTY, b"", True, id="204 of nothing"),
        pytest.param(
            b"GET",
            b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n",
            b"",
            False,
            id="204 that announces a body",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 100 Go\r\nContent-Length: 2\r\n\r\n" + OK,
            b"ok",
            False,
            id="100 that announces a body",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok",
            b"",
            False,
            id="204 with a body",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
            b"",
            False,
            id="304 with a length",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\nok",
            b"",
            False,
            id="304 with a body",
        ),
        pytest.param(b"GET", OK + b"x", b"ok", False, id="bytes after a counted body"),
        pytest.param(b"GET", OK + OK, b"ok", False, id="a response nobody asked for"),
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
            b"ok",
            False,
            id="bytes after a chunked body",
        ),
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\n" + EMPTY,
            b"",
            False,
            id="Connection: close",
        ),
        pytest.param(b"GET", b"HTTP/1.0 200 OK\r\n" + EMPTY, b"", False, id="HTTP/1.0"),
    ],
)
def test_framing_and_reuse(method: bytes, answer: bytes, body: bytes, *, is_reused: bool) -> None:
    with talking(Until(), Send(answer), Stall()) as talk:
        assert body_of(talk(request(method=method))) == body
        assert talk.released == [is_reused]


def test_a_body_until_close_ends_the_connection() -> None:
    with talking(Until(), Send(b"HTTP/1.1 200 OK\r\n\r\nok")) as talk:
        assert body_of(talk()) == b"ok"
        assert (talk.released, talk.broken) == ([False], [False])


def test_a_connection_that_is_closed_behind_an_answer_is_not_used_again() -> None:
    body = b"x" * 0x20000  # more than one read takes
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with talking(Until(), Send(head + b"20000\r\n" + body + b"\r\n0\r\n\r\n")) as talk:
        found = talk()
        wait_until(lambda: talk.endpoint.ended)
        assert body_of(found) == body
        assert talk.released == [False]


@pytest.mark.parametrize("coded", [False, True])
def test_a_body_that_one_more_read_completes_frees_the_connection_at_once(*, coded: bool) -> None:
    body = b"x" * 40_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n"
    if coded:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = head + (b"9c40\r\n%b\r\n0\r\n\r\n" % body if coded else body)
    with talking(Until(), Send(answer), Stall()) as talk:
        found = talk()
        assert isinstance(found.body, bytes)
        assert (found.body, found.in_chunks, talk.released) == (body, coded, [True])


def test_a_chunked_body_that_came_with_its_head_frees_the_connection_at_once() -> None:
    chunks = b"2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with talking(Until(), Send(head + chunks), Stall()) as talk:
        found = talk()
        assert (found.body, found.in_chunks) == (b"ok!", True)
        assert talk.released == [True]
    with talking(Until(), Send(head + chunks + b"more"), Stall()) as talk:
        assert (talk().body, talk.released) == (b"ok!", [False])


def test_chunked_beats_a_length_that_is_then_gone() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
    with talking(Until(), Send(head + b"0\r\n\r\n")) as talk:
        found = talk()
        body_of(found)
        assert b"content-length" not in found.headers


def test_a_304_keeps_its_length_and_a_204_has_none() -> None:
    for status, kept in ((304, b"9"), (204, None)):
        answer = b"HTTP/1.1 %d No\r\nContent-Length: 9\r\n\r\n" % status
        with talking(Until(), Send(answer)) as talk:
            assert talk().headers.get(b"content-length") == kept


def test_a_body_that_comes_in_pieces_is_given_on_as_it_comes() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
    go = Until(b"go")
    with talking(Until(), Send(head), go, Send(b"abc"), go, Send(b"def"), Stall()) as talk:
        found = talk()
        assert not isinstance(found.body, bytes)
        talk.connection.sock.sendall(b"go")
        assert found.body.read() == b"abc"
        talk.connection.sock.sendall(b"go")
        assert found.body.read() == b"def"
        assert (talk.released, talk.broken) == ([], [])
        assert found.body.read() == b""
        assert (talk.released, talk.broken) == ([True], [False])


def test_bytes_behind_a_body_that_came_in_pieces_end_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with talking(Until(), Send(head), Until(b"go"), Send(b"x" * 100_000 + OK), Stall()) as talk:
        found = talk()
        assert not isinstance(found.body, bytes)
        talk.connection.sock.sendall(b"go")
        assert len(body_of(found)) == 100_000
        assert talk.released == [False]


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", Reset()),
        (b"HTTP/1.1 200 OK\r\n\r\npart", Reset()),
    ],
    ids=["a length", "chunks", "the last chunk", "a length and a reset", "until close and a reset"],
)
def test_a_body_cut_short_is_an_error_and_not_an_end(answer: bytes, last: Step | None) -> None:
    steps = [Until(), Send(answer), Until(b"go"), *([last] if last else [])]
    with talking(*steps) as talk:
        found = talk()
        talk.connection.sock.sendall(b"go")
        with pytest.raises(ConnectionClosed):
            body_of(found)
        assert (talk.released, talk.broken) == ([False], [True])


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n", b"4\r\npartX\r\n", b"-1\r\n", b"0x4\r\npart\r\n", b"4" * 5000, b"4\npart\n"],
)
def test_chunks_that_break_the_rules_are_a_bad_response(chunks: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with talking(Until(), Send(head + chunks), Stall()) as talk:
        with pytest.raises(BadResponse):
            body_of(talk())
        assert (talk.released, talk.broken) == ([False], [True])


def test_a_stall_in_the_body_ends_after_the_gap() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
    with talking(Until(), Send(head), Stall(), limits=Limits(response_idle=0.05)) as talk:
        with pytest.raises(ServiceTimedOut):
            body_of(talk())
        assert (talk.released, talk.broken) == ([False], [True])


def test_a_body_that_is_given_up_ends_the_connection_once() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
    with talking(Until(), Send(head), Stall()) as talk:
        found = talk()
        found.close()
        found.close()
        assert (talk.released, talk.broken) == ([False], [False])


def test_a_limit_on_fields_below_the_one_on_the_line_is_kept() -> None:
    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000 + b"\r\nContent-Length: 0\r\n\r\n"
    small = Limits(header_bytes=1024)
    with (
        talking(Until(), Send(head), limits=small) as talk,
        pytest.raises(BadResponse, match="maxHeadersKB"),
    ):
        talk()
    with talking(Until(), Send(head)) as talk:
        assert talk().status == 200


# --- with more to do in a turn of the loop ---


@contextmanager
def in_a_busy_turn(*talks: Callable[[], Response]) -> Iterator[list[gevent.Greenlet]]:
    """Run every exchange of *talks* in one turn, so that their requests wait for its end."""
    asking: list[gevent.Greenlet] = []

    def ask(talk: Callable[[], Response], stream: Stream) -> Response:
        stream.receive(math.inf)
        return talk()

    with ExitStack() as made:
        clients = [made.enter_context(plain()) for _ in talks]
        for talk, (stream, _) in zip(talks, clients, strict=True):
            asking.append(gevent.spawn(ask, talk, stream))
        gevent.sleep(0)
        for _, client in clients:
            client.sendall(b"go")
        yield asking


def test_requests_of_one_turn_are_answered_each_by_its_own() -> None:
    with talking(Until(), Send(OK), Stall()) as one, talking(Until(), Send(OK), Stall()) as two:
        with in_a_busy_turn(one, two) as asking:
            assert [body_of(each.get()) for each in asking] == [b"ok", b"ok"]
        assert (one.released, two.released) == ([True], [True])


def test_a_request_larger_than_the_buffers_is_sent_to_its_end() -> None:
    target = b"/" + b"x" * 6_000_000
    with talking(Until(b"the end"), Send(OK), Stall()) as one, talking(Until()) as two:
        large = request((b"X", b"the end"))
        large.target = target
        with in_a_busy_turn(partial(one, large), two) as asking:
            assert body_of(asking[0].get()) == b"ok"
            with pytest.raises(NoResponse):
                asking[1].get()
        assert len(one.endpoint.received[0]) > len(target)


def test_a_request_that_no_byte_of_was_sent_is_untouched() -> None:
    with talking(Stall()) as one, talking(Stall()) as two:
        for talk in (one, two):
            assert talk.connection.stream is not None
            talk.connection.stream._send = broken
        with in_a_busy_turn(one, two) as asking:
            for each in asking:
                with pytest.raises(NoResponse) as raised:
                    each.get()
                assert raised.value.nothing_sent


def broken(_: bytes | memoryview) -> int:
    raise BrokenPipeError


def test_what_comes_before_the_request_has_left_is_no_response_to_it() -> None:
    with plain() as one, plain() as two:
        connections = []
        for stream, _ in (one, two):
            connection = unopened(1)
            connection.stream = stream
            connections.append(connection)
        talks = [Talk(connection, None) for connection in connections]  # type: ignore[arg-type]
        with in_a_busy_turn(*talks) as asking:
            for _, endpoint in (one, two):
                endpoint.sendall(OK)
            for each in asking:
                with pytest.raises(NoResponse, match="unsolicited data") as raised:
                    each.get()
                assert raised.value.nothing_sent
        assert [endpoint.recv(100) for _, endpoint in (one, two)] == [b"", b""]


def test_a_connection_that_ends_in_the_turn_of_its_request_got_nothing_of_it() -> None:
    with talking(Until(b"bye")) as one, talking(Until(b"bye")) as two:
        for talk in (one, two):
            talk.connection.sock.sendall(b"bye")
            wait_until(lambda talk=talk: talk.endpoint.ended)  # type: ignore[misc] # bound here
        with in_a_busy_turn(one, two) as asking:
            for each in asking:
                with pytest.raises(NoResponse) as raised:
                    each.get()
                assert raised.value.nothing_sent
