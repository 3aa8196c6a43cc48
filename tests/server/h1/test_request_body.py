"""A client's body is read when asked for, kept while small, and never whole once broken."""

from collections.abc import Iterator
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.errors import BadRequest, BodyTooLarge, ClientGone, RequestTimedOut
from meshproxy.http.framing import CHUNKED
from meshproxy.http.limits import Limits
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.stream import Stream
from meshproxy.server.h1.request_body import ClientBody, body_of
from tests.kit.k8s import wait_until
from tests.kit.messages import request
from tests.kit.pair import plain


class World:
    """A body on a stream, the client's end of it, and what it told."""

    def __init__(self, stream: Stream, client: socket.socket) -> None:
        self.stream, self.client = stream, client
        self.rests: list[bytes] = []
        self.invited = 0

    def body(
        self,
        length: int,
        buffered: bytes = b"",
        limits: Limits | None = None,
        *,
        expects: bool = False,
    ) -> ClientBody:
        return ClientBody(
            self.stream,
            length,
            buffered,
            limits or Limits(),
            self._invite if expects else None,
            self.rests.append,
        )

    def _invite(self) -> None:
        self.invited += 1


@pytest.fixture
def world() -> Iterator[World]:
    with plain() as (stream, client):
        yield World(stream, client)


def whole(body: ClientBody | WholeBody) -> bytes:
    return b"".join(map(bytes, body))


def test_what_follows_the_body_is_handed_back(world: World) -> None:
    body = world.body(5, b"hel")
    world.client.sendall(b"lo")
    assert whole(body) == b"hello"
    assert (body.is_complete, world.rests) == (True, [b""])
    chunked = world.body(CHUNKED, b"1\r\nx\r\n0\r\n\r\nGET ")
    assert (whole(chunked), chunked.length, world.rests[1]) == (b"x", None, b"GET ")


def test_a_small_body_is_given_again(world: World) -> None:
    body = world.body(CHUNKED, b"1\r\nx\r\n")
    assert body.read() == b"x"
    body.rewind()
    assert body.has_piece
    world.client.sendall(b"1\r\ny\r\n0\r\n\r\n")
    assert whole(body) == b"xy"
    body.rewind()
    assert (whole(body), body.is_replayable) == (b"xy", True)


@pytest.mark.parametrize("length", [5, CHUNKED])
def test_a_body_that_does_not_come_by_its_deadline_is_given_up(world: World, length: int) -> None:
    body = world.body(length, b"" if length > 0 else b"1\r\nx\r\n")
    body.rewind(monotonic() + 0.05)
    with pytest.raises(RequestTimedOut), gevent.Timeout(10):
        whole(body)


def test_what_has_come_is_read_after_the_deadline(world: World) -> None:
    body = world.body(5, b"hello")
    body.rewind(monotonic() - 1)
    assert whole(body) == b"hello"


@pytest.mark.parametrize(
    ("length", "keep", "kept"),
    [(5, 5, True), (6, 5, False), (CHUNKED, 5, True), (CHUNKED, 4, False)],
)
def test_only_a_small_body_is_kept(world: World, length: int, keep: int, *, kept: bool) -> None:
    text = b"hello!"[:length] if length > 0 else b"5\r\nhello\r\n0\r\n\r\n"
    body = world.body(length, text, Limits(replay_bytes=keep))
    assert body.is_replayable, "nothing was read yet"
    whole(body)
    assert body.is_replayable is kept


def test_less_may_be_kept_later(world: World) -> None:
    counted, chunked = world.body(5, b"hello"), world.body(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")
    for body in (counted, chunked):
        body.keep_at_most(4)
        whole(body)
        assert not body.is_replayable


def test_the_client_is_asked_once_and_only_if_nothing_came(world: World) -> None:
    body = world.body(5, expects=True)
    assert world.invited == 0
    world.client.sendall(b"hello")
    assert whole(body) == b"hello"
    assert world.invited == 1
    whole(world.body(2, b"ok", expects=True))
    assert world.invited == 1


def test_a_client_that_cannot_be_asked_is_gone(world: World) -> None:
    def broken() -> None:
        raise BrokenPipeError

    body = ClientBody(world.stream, 5, b"", Limits(), broken, world.rests.append)
    for _ in range(2):
        with pytest.raises(ClientGone):
            body.read()


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(b"2\r\nokx\r\n", BadRequest, id="malformed"),
        pytest.param(b"2\r\nok\r\n", ClientGone, id="ended"),
        pytest.param(b"9\r\n123456789\r\n0\r\n\r\n", BodyTooLarge, id="too large"),
        pytest.param(None, RequestTimedOut, id="late"),
    ],
)
def test_a_broken_body_never_looks_whole(
    world: World, sent: bytes | None, error: type[Exception]
) -> None:
    body = world.body(CHUNKED, b"1\r\nx\r\n", Limits(body_bytes=8, read_idle=0.05))
    assert body.read() == b"x"
    if sent is not None:
        world.client.sendall(sent)
        world.client.shutdown(socket.SHUT_WR)
    with pytest.raises(error):
        whole(body)
    body.rewind()
    with pytest.raises((error, ClientGone)):
        whole(body)
    with pytest.raises((error, ClientGone)):
        body.read()
    assert not body.is_complete


def test_a_body_given_up_never_looks_whole(world: World) -> None:
    body = world.body(5, b"hel")
    assert body.read() == b"hel"
    body.close()
    body.close()
    with pytest.raises(ClientGone):
        body.read()


@pytest.mark.parametrize(
    ("length", "buffered", "complete"),
    [
        (5, b"hello", True),
        (5, b"helloGET", True),
        (5, b"hell", False),
        (5, b"", False),
        (CHUNKED, b"1\r\nx\r\n0\r\n\r\nGET", True),
        (CHUNKED, b"1\r\nx\r\n0\r\n\r", False),
        (CHUNKED, b"1\r", False),
        (CHUNKED, b"", False),
        (CHUNKED, b"zzz", False),
    ],
)
def test_what_is_at_hand_is_passed_over_without_waiting(
    world: World, length: int, buffered: bytes, *, complete: bool
) -> None:
    body = world.body(length, buffered)
    with gevent.Timeout(1):
        body.discard_buffered()
    assert body.is_complete is complete
    assert b"".join(world.rests) == (b"GET" if buffered.endswith(b"GET") else b"")


def test_a_body_read_to_its_last_byte_is_complete_when_passed_over(world: World) -> None:
    body = world.body(5)
    world.client.sendall(b"hello")
    assert body.read() == b"hello"
    body.discard_buffered()
    assert body.is_complete


def test_somebody_else_with_something_to_say_comes_first(world: World) -> None:
    body = world.body(5)
    with plain() as (other, at_other):
        at_other.sendall(b"enough")
        while not other.is_readable:
            gevent.sleep(0)
        assert body.read(other) is None
        other.receive(float("inf"))
        world.client.sendall(b"hello")
        assert body.read(other) == b"hello"
        assert body.read(other) == b""


@pytest.mark.parametrize(("buffered", "rest"), [(b"hello", b""), (b"helloGET ", b"GET ")])
def test_a_body_that_came_with_its_head_is_whole(
    world: World, buffered: bytes, rest: bytes
) -> None:
    asked = request((b"Content-Length", b"5"), method=b"POST")
    body = body_of(asked, world.stream, buffered, Limits(), world.rests.append)
    assert isinstance(body, WholeBody)
    assert (asked.body, body.length, world.rests) == (body, 5, [rest])
    assert (body.has_piece, whole(body), body.has_piece, whole(body)) == (
        True,
        b"hello",
        False,
        b"",
    )
    body.rewind()
    assert (body.has_piece, whole(body)) == (True, b"hello")


@pytest.mark.parametrize(
    ("held", "keep", "kept"), [(5, 5, True), (4, 5, False), (5, 4, False), (9, 9, True)]
)
def test_a_whole_body_is_sent_again_only_if_it_is_small(
    world: World, held: int, keep: int, *, kept: bool
) -> None:
    asked = request((b"Content-Length", b"5"), method=b"POST")
    limits = Limits(replay_bytes=held)
    body = body_of(asked, world.stream, b"hello", limits, world.rests.append)
    assert isinstance(body, WholeBody)
    body.keep_at_most(keep)
    assert body.is_replayable, "nothing was read yet"
    whole(body)
    assert body.is_replayable is kept


def test_a_body_that_has_come_but_was_not_read_is_whole_too(world: World) -> None:
    asked = request((b"Content-Length", b"5"), method=b"POST")
    world.client.sendall(b"loGET ")
    wait_until(world.stream.has_stray)
    body = body_of(asked, world.stream, b"hel", Limits(), world.rests.append)
    assert isinstance(body, WholeBody)
    assert (whole(body), world.rests) == (b"hello", [b"GET "])


def test_a_byte_short_is_not_whole(world: World) -> None:
    asked = request((b"Content-Length", b"5"), method=b"POST")
    body = body_of(asked, world.stream, b"hell", Limits(), world.rests.append)
    assert isinstance(body, ClientBody)
    world.client.sendall(b"o")
    assert whole(body) == b"hello"
