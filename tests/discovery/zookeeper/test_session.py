"""Sessions with real servers, and with some that are none."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from meshproxy.discovery.zookeeper.session import MAX_BYTES, SessionTiming, ZooKeeperSession
from meshproxy.naming.addr import Address
from tests.kit.k8s import wait_until
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

QUICK = SessionTiming(session_s=1.0, connect_s=0.5, close_s=0.1)


def _ignore() -> None:
    """Take no notice."""


@contextmanager
def serving(handle: Callable[[socket.socket], object]) -> Iterator[Address]:
    """Serve with *handle* on a port of 127.0.0.1, one connection after the other."""
    server = StreamServer(("127.0.0.1", 0), lambda sock, _: handle(sock))
    server.start()
    try:
        yield Address("127.0.0.1", server.server_port)
    finally:
        server.stop(timeout=0)


@contextmanager
def session(*servers: Address, timing: SessionTiming = QUICK) -> Iterator[ZooKeeperSession]:
    begun = ZooKeeperSession(servers, timing, _ignore)
    try:
        yield begun
    finally:
        begun.end_and_wait()


@needs_zookeeper
def test_a_session_is_had_with_whoever_of_the_ensemble_answers(zookeeper: ZooKeeper) -> None:
    dead, alive = Address("127.0.0.1", 1), Address("127.0.0.1", zookeeper.port)
    with session(dead, alive, timing=SessionTiming()) as begun:
        wait_until(lambda: begun.is_connected)
        assert begun.peer == alive
        assert begun.left_s is None
        assert "zookeeper" in begun.client.get_children("/")


@needs_zookeeper
def test_its_nodes_are_gone_as_soon_as_it_has_ended(zookeeper: ZooKeeper) -> None:
    with session(Address("127.0.0.1", zookeeper.port), timing=SessionTiming()) as begun:
        wait_until(lambda: begun.is_connected)
        begun.client.create("/mine", b"", ephemeral=True)
    with zookeeper.client() as other:
        assert other.exists("/mine") is None


@needs_zookeeper
def test_a_server_that_goes_leaves_the_time_of_the_session(zookeeper: ZooKeeper) -> None:
    with session(Address("127.0.0.1", zookeeper.port)) as begun:
        wait_until(lambda: begun.is_connected)
        zookeeper.stop()
        try:
            wait_until(lambda: not begun.is_connected)
            assert begun.left_s is not None
            assert 0 < begun.left_s <= QUICK.session_s
            wait_until(lambda: begun.left_s == 0)
        finally:
            zookeeper.start()


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _silence(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def _trickle(sock: socket.socket) -> None:
    sock.sendall(struct.pack(">i", 1000))
    while True:
        sock.sendall(b"x")
        gevent.sleep(0.05)


NO_SERVERS = {
    "silent": _silence,
    "slow": _trickle,
    "huge": lambda sock: (sock.sendall(struct.pack(">i", MAX_BYTES + 1)), _silence(sock)),
    "negative": lambda sock: (sock.sendall(struct.pack(">i", -1)), _silence(sock)),
    "garbage": lambda sock: (sock.sendall(b"\0\0\0\x10" + b"HTTP/1.1 400 Bad"), _silence(sock)),
    "cut": lambda sock: (sock.sendall(b"\0\0\0\x25\0"), sock.close()),
    "gone": lambda sock: sock.close(),
}


@pytest.mark.parametrize("handle", NO_SERVERS.values(), ids=NO_SERVERS)
def test_who_is_no_server_is_given_up(handle: Callable[[socket.socket], object]) -> None:
    with serving(handle) as server:
        before = _descriptors()
        begun = ZooKeeperSession([server], QUICK, _ignore)
        wait_until(lambda: begun.left_s == 0)
        assert not begun.has_begun
        asked = time.monotonic()
        begun.end_and_wait()
        assert time.monotonic() - asked < 5
    wait_until(lambda: _descriptors() <= before)


def test_what_went_wrong_is_kept_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with session(Address("127.0.0.1", 1)) as begun:
        wait_until(lambda: "refused" in begun.why)
    assert caplog.records == []


def test_a_server_by_ipv6_is_asked_in_brackets() -> None:
    with session(Address("::1", 1)) as begun:
        assert begun.client.hosts == [("::1", 1)]
        assert begun.peer is None
