"""Bytes both ways, and how that ends."""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.tunnel import Tunnel


class Ends:
    """Two socket pairs with a tunnel between their inner ends."""

    def __init__(self, at_hand: bytes = b"", idle_seconds: float = 5.0) -> None:
        self.client, inner = socket.socketpair()
        self.endpoint, outer = socket.socketpair()
        self.inner, self.outer = Stream(inner), Stream(outer)
        self.finished = 0
        self.tunnel = Tunnel(self.outer, at_hand, self._finish)
        self.relay = gevent.spawn(self.tunnel.relay, self.inner, b"early", idle_seconds, 5.0)
        for end in (self.client, self.endpoint):
            end.settimeout(5)

    def _finish(self) -> None:
        self.finished += 1
        self.outer.close()

    def close(self) -> None:
        self.relay.kill()
        self.inner.close()
        self.outer.close()
        self.client.close()
        self.endpoint.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends(at_hand=b"hello")
    yield made
    made.close()


def test_what_came_with_the_heads_is_passed_on_first(ends: Ends) -> None:
    assert ends.endpoint.recv(100) == b"early"
    assert ends.client.recv(100) == b"hello"


def test_bytes_go_both_ways(ends: Ends) -> None:
    ends.endpoint.recv(100)
    ends.client.recv(100)
    ends.client.sendall(b"ping")
    assert ends.endpoint.recv(100) == b"ping"
    ends.endpoint.sendall(b"pong")
    assert ends.client.recv(100) == b"pong"


def test_a_half_close_is_passed_on_and_the_other_way_stays_open(ends: Ends) -> None:
    ends.endpoint.recv(100)
    ends.client.recv(100)
    ends.client.shutdown(socket.SHUT_WR)
    assert ends.endpoint.recv(100) == b""
    ends.endpoint.sendall(b"last words")
    assert ends.client.recv(100) == b"last words"
    ends.endpoint.close()
    assert ends.client.recv(100) == b""
    ends.relay.join(5)
    assert ends.relay.ready()
    assert ends.finished == 1


def test_silence_ends_a_tunnel() -> None:
    ends = Ends(idle_seconds=0.05)
    ends.relay.join(5)
    assert ends.relay.ready()
    assert ends.finished == 1
    ends.close()


def test_a_side_that_breaks_ends_the_other(ends: Ends) -> None:
    ends.endpoint.recv(100)
    ends.outer.sock.shutdown(socket.SHUT_RDWR)
    ends.client.sendall(b"into the void")
    ends.relay.join(5)
    assert ends.relay.ready()
    assert ends.finished == 1
