"""What the kernel says of a connection is what its two ends have written."""

import socket
from collections.abc import Iterator

import pytest

from meshproxy.metrics.instruments import Counter
from meshproxy.net.traffic import MOST_AT_ONCE, Traffic
from tests.kit.wire import dial

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dial(server.getsockname()) as ours,
        server.accept()[0] as theirs,
    ):
        yield ours, theirs


def test_both_directions_are_counted_once(pair: Pair) -> None:
    ours, theirs = pair
    traffic, received, sent = Traffic(), Counter(), Counter()
    traffic.watch(ours, ours, received, sent)
    ours.sendall(b"x" * 1000)
    theirs.sendall(b"y" * 70)
    ours.recv(70, socket.MSG_WAITALL)
    traffic.count()
    traffic.count()
    assert (received.value, sent.value) == (70, 1000)
    theirs.sendall(b"y" * 7)
    ours.recv(7, socket.MSG_WAITALL)
    traffic.leave(ours)
    traffic.count()
    traffic.leave(ours)
    assert (received.value, sent.value) == (77, 1000)


def test_the_end_of_input_is_no_byte(pair: Pair) -> None:
    ours, theirs = pair
    traffic, received, sent = Traffic(), Counter(), Counter()
    traffic.watch(ours, ours, received, sent)
    theirs.sendall(b"y" * 7)
    theirs.close()
    while ours.recv(9):
        pass
    traffic.leave(ours)
    assert (received.value, sent.value) == (7, 0)


def test_what_is_no_tcp_connection_counts_nothing() -> None:
    ours, theirs = socket.socketpair()
    traffic, received, sent = Traffic(), Counter(), Counter()
    with ours, theirs:
        traffic.watch(ours, ours, received, sent)
        ours.sendall(b"x")
        traffic.count()
    traffic.leave(ours)
    assert (received.value, sent.value) == (0, 0)


def test_of_many_connections_the_next_ones_are_asked_each_time(pair: Pair) -> None:
    ours, theirs = pair
    traffic, received, sent = Traffic(), Counter(), Counter()
    for number in range(MOST_AT_ONCE):
        traffic.watch(number, theirs, Counter(), Counter())
    traffic.watch(ours, ours, received, sent)
    ours.sendall(b"x")
    traffic.count()
    assert sent.value == 0
    traffic.count()
    assert sent.value == 1
