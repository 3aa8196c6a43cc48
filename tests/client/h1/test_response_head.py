"""What an endpoint says before the body: a final head is found, others are passed over."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.client.h1.early import MAX_INTERIM, EarlyAnswer
from meshproxy.client.h1.response_head import final_head
from meshproxy.errors import BadResponse, ConnectionClosed, NoResponse
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream, StreamTimeout
from tests.kit.messages import Heard, request
from tests.kit.pair import plain

FINAL = b"HTTP/1.1 404 Not Found\r\nX: 1\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"


@contextmanager
def saying(pieces: Iterable[bytes], *, ends: bool = False) -> Iterator[Stream]:
    """Give a stream at whose other end *pieces* are sent, each when the one before was read."""

    def speak(other: socket.socket) -> None:
        for piece in pieces:
            other.sendall(piece)
            gevent.sleep(0)
        if ends:
            other.shutdown(socket.SHUT_WR)

    with plain() as (stream, other):
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        speaking = gevent.spawn(speak, other)
        try:
            yield stream
        finally:
            speaking.join()


def read(
    stream: Stream,
    asked: Request | None = None,
    early: EarlyAnswer | None = None,
    limits: Limits | None = None,
) -> tuple[Response, bytes]:
    deadline = monotonic() + 10
    return final_head(stream, limits or Limits(), deadline, asked or request(), early)[:2]


def test_the_head_may_come_in_any_pieces() -> None:
    with saying([FINAL[at : at + 1] for at in range(len(FINAL))]) as stream:
        response, rest = read(stream)
    assert (response.status, response.headers.get(b"x"), rest) == (404, b"1", b"")


def test_what_follows_the_head_is_handed_on() -> None:
    with saying([FINAL + b"body"]) as stream:
        assert read(stream)[1] == b"body"


@pytest.mark.parametrize("pieces", [[HINTS, FINAL], [HINTS + HINTS + FINAL]])
def test_informational_responses_are_passed_over(pieces: list[bytes]) -> None:
    with saying(pieces) as stream:
        assert read(stream)[0].status == 404


def test_a_client_that_wants_them_is_told_of_informational_responses() -> None:
    asked = request()
    asked.informed = heard = Heard()
    with saying([HINTS + HINTS + FINAL]) as stream:
        read(stream, asked)
    assert heard.said == [(103, [b"Link: </a>"])] * 2


def test_they_have_an_end() -> None:
    with saying([HINTS * MAX_INTERIM + FINAL]) as stream:
        assert read(stream)[0].status == 404
    with saying([HINTS * (MAX_INTERIM + 1) + FINAL]) as stream, pytest.raises(BadResponse):
        read(stream)


def test_those_that_came_early_count() -> None:
    early = EarlyAnswer(request())
    early.count = MAX_INTERIM
    with saying([HINTS + FINAL]) as stream, pytest.raises(BadResponse):
        read(stream, early=early)


@pytest.mark.parametrize(
    ("field", "is_sound"),
    [(b"Content-Length: 9", False), (b"Transfer-Encoding: x", False), (b"Content-Length: 0", True)],
)
def test_behind_one_that_announces_a_body_nothing_else_is_believed(
    field: bytes, *, is_sound: bool
) -> None:
    odd = b"HTTP/1.1 103 Early Hints\r\n" + field + b"\r\n\r\n"
    for said in (odd + FINAL, odd + HINTS + FINAL):
        with saying([said]) as stream:
            assert final_head(stream, Limits(), inf, request(), None)[2] is is_sound
    early = EarlyAnswer(request())
    with saying([odd]) as stream:
        stream.wait_readable(inf)
        early.has_begun(stream)
    with saying([FINAL]) as stream:
        assert final_head(stream, Limits(), inf, request(), early)[2] is is_sound


def test_what_came_early_is_where_reading_begins() -> None:
    early = EarlyAnswer(request())
    early.data = FINAL[:10]
    with saying([FINAL[10:]]) as stream:
        assert read(stream, early=early)[0].status == 404


def test_protocols_are_switched_for_those_who_asked() -> None:
    upgrading = Request(b"GET", b"/", b"1.1", of((b"Host", b"a"), (b"Upgrade", b"x")))
    with saying([SWITCHED + b"x-bytes"]) as stream:
        response, rest = read(stream, upgrading)
    assert (response.status, rest) == (101, b"x-bytes")
    with saying([SWITCHED]) as stream, pytest.raises(BadResponse):
        read(stream)


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"", NoResponse), (FINAL[:20], ConnectionClosed), (HINTS, ConnectionClosed)],
    ids=["nothing", "part of a head", "only hints"],
)
def test_an_early_end_is_told_from_silence(said: bytes, error: type[Exception]) -> None:
    with saying([said] if said else [], ends=True) as stream, pytest.raises(error) as raised:
        read(stream)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nA: \x00", b"HTTP/1.1 200 OK\nA: b\n\n"],
    ids=["another protocol", "a control character", "bare line feeds"],
)
def test_what_cannot_become_a_head_is_refused_at_once(said: bytes) -> None:
    with saying([said]) as stream, pytest.raises(BadResponse):
        read(stream)


@pytest.mark.parametrize("ended", [b"", b"\r\n\r\n"], ids=["endless", "whole"])
def test_a_head_over_the_limits_is_refused(ended: bytes) -> None:
    limits = Limits(first_line=40, header_bytes=40)
    for head in (b"HTTP/1.1 200 " + b"x" * 40, b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40):
        with saying([head + ended]) as stream, pytest.raises(BadResponse):
            read(stream, limits=limits)


def test_waiting_ends_at_the_deadline() -> None:
    with saying([FINAL[:20]]) as stream, pytest.raises(StreamTimeout):
        final_head(stream, Limits(), monotonic() + 0.05, request(), None)
