"""Bytes both ways, and how that ends."""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.tunnel import Tunnel
from tests.kit.faults import RESET
from tests.kit.pair import tcp_pair


class Ends:
    """Two connections with a tunnel between their inner ends."""

    def __init__(
        self, buffered: bytes = b"", idle_seconds: float = 5.0, gap_seconds: float = 5.0
    ) -> None:
        inner, self.client = tcp_pair()
        outer, self.endpoint = tcp_pair()
        self.inner, self.outer = Stream(inner), Stream(outer)
        self.finished = 0
        self.tunnel = Tunnel(self.outer, buffered, self._finish)
        self.relay = gevent.spawn(
            self.tunnel.relay, self.inner, b"head", b"early", idle_seconds, gap_seconds
        )
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
    made = Ends(buffered=b"hello")
    yield made
    made.close()


def test_what_came_with_the_heads_is_passed_on_first(ends: Ends) -> None:
    assert ends.endpoint.recv(100) == b"early"
    assert ends.client.recv(100) == b"headhello"


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


def resets(sock: socket.socket) -> bool:
    """Whether *sock* reads nothing more but a reset."""
    try:
        assert sock.recv(100) == b""
    except ConnectionResetError:
        return True
    return False


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def test_silence_ends_a_tunnel_in_order() -> None:
    ends = Ends(idle_seconds=0.05)
    ends.relay.join(5)
    assert ends.relay.ready()
    assert ends.finished == 1
    assert ends.endpoint.recv(100) == b"early"
    assert not resets(ends.endpoint)
    ends.close()


@pytest.mark.parametrize("which", ["client", "endpoint"])
@pytest.mark.parametrize("half_closed", [False, True])
def test_a_reset_of_one_side_resets_the_other(ends: Ends, which: str, half_closed: bool) -> None:
    ends.endpoint.recv(100)
    ends.client.recv(100)
    broken, other = ends.client, ends.endpoint
    if which == "endpoint":
        broken, other = other, broken
    if half_closed:
        other.shutdown(socket.SHUT_WR)
        assert broken.recv(100) == b""
    broken.sendall(b"last words")
    assert other.recv(100) == b"last words"
    reset(broken)
    assert resets(other)
    ends.relay.join(5)
    assert (ends.relay.ready(), ends.finished) == (True, 1)


def test_a_side_that_takes_nothing_resets_both() -> None:
    ends = Ends(gap_seconds=0.05)
    ends.endpoint.recv(100)
    with pytest.raises(ConnectionResetError):
        ends.endpoint.sendall(bytes(64 << 20))
    ends.relay.join(5)
    assert (ends.relay.ready(), ends.finished) == (True, 1)
    with pytest.raises(ConnectionResetError):
        any(ends.client.recv(1 << 20) == b"" for _ in range(1 << 20))
    ends.close()


def test_a_relay_that_is_ended_resets_both(ends: Ends) -> None:
    ends.endpoint.recv(100)
    ends.client.recv(100)
    ends.relay.kill()
    assert resets(ends.client)
    assert resets(ends.endpoint)
