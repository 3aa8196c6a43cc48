"""What every body on a stream keeps to, whatever says where it ends."""

from gevent import socket

from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut
from meshproxy.http.body import Interruption
from meshproxy.net.body import Faults, StreamBody
from tests.kit.pair import plain


class OnePiece(StreamBody):
    """A body that ends with its first read."""

    def _read(self, other: Interruption | None) -> bytes | None:
        data = self._receive(other)
        self._end(True, b"rest")
        return data

    def _skip(self, buffered: bytes) -> None:
        self._end(True, buffered)


FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)


def test_the_end_is_told_once_with_what_followed() -> None:
    with plain() as (stream, sender):
        ends: list[tuple[bool, bytes]] = []
        body = OnePiece(stream, b"", 5.0, FAULTS, lambda *end: ends.append(end))
        sender.sendall(b"piece")
        assert not body.is_complete
        assert [body.read(), body.read()] == [b"piece", b""]
        assert body.is_complete
        body.close()
        body.skip_buffered()
        assert ends == [(True, b"rest")]


def test_what_is_given_up_is_neither_complete_nor_broken() -> None:
    with plain() as (stream, _):
        body = OnePiece(stream, b"", 5.0, FAULTS, lambda *_: None)
        body.close()
        assert (body.is_complete, body.is_broken) == (False, False)


def test_a_reset_ends_it_as_broken() -> None:
    with plain() as (stream, sender):
        ends: list[tuple[bool, bytes]] = []
        body = OnePiece(stream, b"", 5.0, FAULTS, lambda *end: ends.append(end))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00" + bytes(4))
        sender.close()
        errors = []
        for _ in range(2):
            try:
                body.read()
            except ConnectionClosed as error:
                errors.append(error)
        assert len(errors) == 2
        assert (ends, body.is_broken) == ([(False, b"")], True)
