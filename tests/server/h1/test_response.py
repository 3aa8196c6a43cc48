"""How a response leaves a stream; what a client sees of it is in test_connection.py."""

import gevent
import pytest
from gevent import socket

from meshproxy.errors import BadResponse
from meshproxy.http.message import text_response
from meshproxy.net.stream import StreamTimeout
from meshproxy.server.h1 import response
from meshproxy.server.h1.response import linger, reason_of_refusal, send_body
from tests.kit.pair import plain


class Endless:
    """A body without an end."""

    length, trailers, has_piece = None, None, True
    closed = 0

    def read(self) -> bytes:
        return b"x" * 65536

    def close(self) -> None:
        self.closed += 1


def test_a_client_that_takes_nothing_ends_the_body_and_is_reset() -> None:
    body = Endless()
    with plain() as (stream, other):
        with pytest.raises(StreamTimeout):
            send_body(stream, b"head", body, 0.1, chunked=True)
        assert (body.closed, stream.sock) == (1, None)
        with pytest.raises(ConnectionResetError):
            read_to_end(other)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no such port", b"no such port"),
        ("one\r\n\r\ntwo\n", b"one two"),
        ("a\x00b\x1bc\u00e9", b"a?b?c??"),
        ("x" * 300, b"x" * 200),
        ("", b"Bad Gateway"),
    ],
)
def test_the_reason_of_a_refusal_is_one_line_of_plain_text(text: str, reason: bytes) -> None:
    assert reason_of_refusal(text_response(502, text)) == reason


def test_lingering_reads_what_still_comes_and_ends_with_it() -> None:
    with plain() as (stream, other):
        lingering = gevent.spawn(linger, stream)
        assert other.recv(1) == b""
        other.sendall(b"x" * 100_000)
        gevent.sleep(0)
        assert not lingering.ready()
        other.close()
        lingering.get()


def test_lingering_ends_with_a_client_that_sends_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "_LINGER_SECONDS", 3600)
    with plain() as (stream, other), gevent.Timeout(10):
        sending = gevent.spawn(send_for_ever, other)
        linger(stream)
        assert not sending.ready()
        sending.kill()


def test_lingering_ends_with_a_client_that_neither_sends_nor_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(response, "_LINGER_SECONDS", 0.01)
    with plain() as (stream, other), gevent.Timeout(10):
        linger(stream)
        assert other.recv(1) == b""


def send_for_ever(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"x" * 65536)


def read_to_end(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


class Chunks:
    """A chunked body of pieces that are all at hand."""

    length, trailers = None, None

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    @property
    def has_piece(self) -> bool:
        return True

    def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self._pieces.clear()


class Broken(Chunks):
    """Pieces at hand, then an error of the endpoint."""

    def read(self) -> bytes:
        if not self._pieces:
            raise BadResponse("not a chunk size line")
        return super().read()


def test_pieces_that_wait_for_a_broken_one_are_sent_before_the_cut() -> None:
    with plain() as (stream, other):
        assert send_body(stream, b"head", Broken(b"ab"), 5, chunked=True) is None
        assert stream.sock is None
        assert other.makefile("rb").read() == b"head2\r\nab\r\n"


def test_chunks_at_hand_and_the_last_one_are_left_to_leave_together() -> None:
    with plain() as (stream, other):
        rest = send_body(stream, b"head", Chunks(b"ab", b"c"), 5, chunked=True)
        assert rest == b"head2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        assert stream.receive_buffered() is None
        stream.close()
        assert other.recv(100) == b""
