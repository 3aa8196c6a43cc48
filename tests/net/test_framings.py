"""Bodies from real sockets: whole whatever the cut, visibly broken otherwise, memory bounded."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut
from meshproxy.http.framing import CHUNKED, UNTIL_CLOSE
from meshproxy.net import body as base
from meshproxy.net import framings as room
from meshproxy.net.body import Faults, StreamBody
from meshproxy.net.framings import framed_body
from meshproxy.net.stream import Stream
from tests.kit.certs import Certs
from tests.kit.pair import plain, tls

FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)
BIG = bytes(range(256)) * 8192


class World:
    """A body on a stream, its sender, and what it told of its end."""

    def __init__(self, stream: Stream, sender: socket.socket) -> None:
        self.stream, self.sender = stream, sender
        self.ends: list[tuple[bool, bytes]] = []

    def body(self, length: int, buffered: bytes = b"", gap: float = 5.0) -> StreamBody:
        return framed_body(
            self.stream, length, buffered, gap, FAULTS, 8192, lambda *end: self.ends.append(end)
        )


@pytest.fixture(params=["plain", "tls"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made: AbstractContextManager[Any] = (
        plain() if request.param == "plain" else tls(Certs(tmp_path))
    )
    with made as (stream, sender):
        yield World(stream, sender)


def whole(body: StreamBody) -> bytes:
    return b"".join(map(bytes, body))


@pytest.mark.parametrize("held", [0, 3, 5, 7])
def test_a_counted_body_is_its_bytes_and_the_rest_is_told(world: World, held: int) -> None:
    raw = b"helloGET"
    body = world.body(5, raw[:held])
    world.sender.sendall(raw[held:5])
    assert (whole(body), body.length) == (b"hello", 5)
    assert world.ends == [(True, raw[5:held])]
    assert (body.read(), body.has_piece) == (b"", False)


def test_a_body_that_is_all_there_leaves_others_their_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_TURN", 100)
    world.sender.sendall(bytes(300))
    gevent.sleep(0.01)
    body = world.body(300)
    others: list[bool] = []
    gevent.spawn(others.append, True)
    assert len(body.read() or b"") == 300
    assert others == [True]


@pytest.mark.parametrize("held", [0, 2, 6, 13, 19])
def test_a_chunked_body_is_its_data(world: World, held: int) -> None:
    raw = b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    body = world.body(CHUNKED, raw[:held])
    world.sender.sendall(raw[held:])
    assert (whole(body), body.length) == (b"hello", None)
    assert body.trailers is not None
    assert body.trailers.lines == [b"X: y"]
    assert world.ends == [(True, b"")]


def test_a_body_until_close_ends_with_a_clean_end() -> None:
    with plain() as (stream, sender):
        world = World(stream, sender)
        body = world.body(UNTIL_CLOSE, b"he")
        sender.sendall(b"llo")
        sender.shutdown(socket.SHUT_WR)
        assert (whole(body), body.length, world.ends) == (b"hello", None, [(True, b"")])


def test_a_body_until_close_over_tls_wants_a_goodbye(tmp_path: Path) -> None:
    for cut in (False, True):
        with tls(Certs(tmp_path)) as (stream, sender):
            world = World(stream, sender)
            body = world.body(UNTIL_CLOSE, b"he")
            sender.sendall(b"llo")
            if cut:
                sender.shutdown(socket.SHUT_WR)
                with pytest.raises(ConnectionClosed):
                    whole(body)
                assert world.ends == [(False, b"")]
            else:
                leaving = gevent.spawn(sender.unwrap)
                assert whole(body) == b"hello"
                leaving.kill()
                assert world.ends == [(True, b"")]


@pytest.mark.parametrize("length", [len(BIG), CHUNKED])
def test_bulk_is_whole_and_pieces_are_bounded(world: World, length: int) -> None:
    head, tail = (b"%x\r\n" % len(BIG), b"\r\n0\r\n\r\n") if length == CHUNKED else (b"", b"")
    sending = gevent.spawn(world.sender.sendall, head + BIG + tail)
    body, got = world.body(length), bytearray()
    while piece := body.read():
        assert len(piece) <= 262144
        got += piece
    assert got == BIG
    sending.get()
    assert len(room._buffers) <= 16


@pytest.mark.parametrize("length", [5, CHUNKED])
@pytest.mark.parametrize("sent", [b"", b"3\r\n"])
def test_an_early_end_is_an_error_now_and_later(length: int, sent: bytes) -> None:
    with plain() as (stream, sender):
        world = World(stream, sender)
        body = world.body(length, sent)
        sender.shutdown(socket.SHUT_WR)
        for _ in range(2):
            with pytest.raises(ConnectionClosed):
                whole(body)
        assert world.ends == [(False, b"")]


def test_a_reset_is_an_error() -> None:
    for length in (5, CHUNKED, UNTIL_CLOSE):
        with plain() as (stream, sender):
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            sender.close()
            with pytest.raises(ConnectionClosed):
                World(stream, sender).body(length).read()


@pytest.mark.parametrize("length", [5, CHUNKED, UNTIL_CLOSE])
def test_a_gap_is_an_error_now_and_later(world: World, length: int) -> None:
    body = world.body(length, gap=0.05)
    for _ in range(2):
        with pytest.raises(ServiceTimedOut):
            body.read()
    assert world.ends == [(False, b"")]


def test_a_malformed_body_is_an_error_now_and_later(world: World) -> None:
    body = world.body(CHUNKED, b"1\r\nx\r\n")
    assert body.read() == b"x"
    world.sender.sendall(b"zz\r\n")
    for _ in range(2):
        with pytest.raises(BadResponse):
            body.read()
    assert world.ends == [(False, b"")]


def test_a_body_closed_before_its_end_is_told_once_and_never_looks_whole(world: World) -> None:
    body = world.body(5, b"he")
    body.close()
    body.close()
    assert world.ends == [(False, b"")]
    with pytest.raises(ConnectionClosed):
        body.read()


def test_closing_after_the_end_says_nothing_more(world: World) -> None:
    body = world.body(2, b"ok")
    assert whole(body) == b"ok"
    body.close()
    assert (world.ends, body.read()) == ([(True, b"")], b"")


def test_a_killed_read_tells_of_the_end(world: World) -> None:
    reading = gevent.spawn(world.body(5).read)
    gevent.sleep(0)
    reading.kill()
    assert world.ends == [(False, b"")]


@pytest.mark.parametrize(
    ("length", "buffered", "expected"),
    [
        (5, b"", False),
        (5, b"h", True),
        (UNTIL_CLOSE, b"h", True),
        (CHUNKED, b"", False),
        (CHUNKED, b"5", False),
        (CHUNKED, b"5\r\n", False),
        (CHUNKED, b"5\r\nh", True),
        (CHUNKED, b"0\r\nX: y", False),
    ],
)
def test_a_piece_is_at_hand_only_if_reading_would_not_wait(
    world: World, length: int, buffered: bytes, *, expected: bool
) -> None:
    body = world.body(length, buffered)
    assert body.has_piece is expected
    if expected:
        with gevent.Timeout(1):
            body.read()


def test_the_end_of_chunks_that_came_with_the_last_piece_is_at_hand(world: World) -> None:
    body = world.body(CHUNKED, b"1\r\nx\r\n0\r\n\r\n")
    assert body.read() == b"x"
    assert (body.has_piece, body.read()) == (True, b"")


@pytest.mark.parametrize("length", [5, CHUNKED, UNTIL_CLOSE])
def test_another_stream_that_speaks_comes_first(world: World, length: int) -> None:
    body = world.body(length)
    with plain() as (other, at_other):
        reading = gevent.spawn(body.read, other)
        gevent.sleep(0)
        at_other.sendall(b"enough")
        assert reading.get() is None
        assert other.receive(math.inf) == b"enough"
        world.sender.sendall(b"5\r\nhello" if length == CHUNKED else b"hello")
        assert body.read(other) == b"hello"
    assert world.ends == []


@pytest.mark.parametrize(
    ("length", "buffered", "ends"),
    [
        (5, b"hello", [(True, b"")]),
        (5, b"helloGET", [(True, b"GET")]),
        (5, b"hell", []),
        (CHUNKED, b"1\r\nx\r\n0\r\n\r\nGET", [(True, b"GET")]),
        (CHUNKED, b"1\r\nx\r\n0\r\n", []),
        (CHUNKED, b"nonsense\r\n", [(False, b"")]),
        (UNTIL_CLOSE, b"x", []),
    ],
)
def test_what_is_at_hand_is_skipped_without_waiting(
    world: World, length: int, buffered: bytes, ends: list[tuple[bool, bytes]]
) -> None:
    body = world.body(length, buffered)
    body.skip_buffered()
    body.skip_buffered()
    assert world.ends == ends
