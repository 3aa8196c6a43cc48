"""Bulk through the kernel: the same bytes, cuts and limits as through a buffer."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

from meshproxy.errors import BadResponse, ConnectionClosed, ServiceTimedOut
from meshproxy.net import pipe as room
from meshproxy.net.body import Faults, StreamBody
from meshproxy.net.descriptors import CLIENTS, spares
from meshproxy.net.framings import framed_body
from meshproxy.net.pipe import WORTH_BYTES, Pipe
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.server.h1.response import send_body
from tests.kit.certs import Certs
from tests.kit.pair import plain, tls
from tests.kit.scarcity import few_descriptors

FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)
BIG = bytes(range(256)) * 16384
"""More than a pipe and the buffers of two sockets hold together."""
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Relay:
    """A body that comes from an endpoint and goes to a client."""

    def __init__(self, source: Stream, sink: Stream) -> None:
        self.source, self.sink = source, sink
        self.ends: list[tuple[bool, bytes]] = []

    def body(self, length: int = len(BIG), buffered: bytes = b"", gap: float = 5.0) -> StreamBody:
        return framed_body(
            self.source, length, buffered, gap, FAULTS, 8192, lambda *end: self.ends.append(end)
        )

    def send(self, body: StreamBody, gap: float = 5.0) -> bool:
        rest = send_body(self.sink, HEAD, body, gap, chunked=False)
        if rest:
            self.sink.send(rest, gap)
        return rest is not None


@pytest.fixture
def ends() -> Iterator[tuple[Relay, socket.socket, socket.socket]]:
    with plain() as (source, endpoint), plain() as (sink, client):
        yield Relay(source, sink), endpoint, client


Ends = tuple[Relay, socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def pipes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Begin without spare pipes, and note what each splice from a socket brought."""
    while room._spare.pipes:
        with room._spare.pipes.pop() as spare:
            spare.held = 1
    brought: list[int] = []
    fill = Stream.fill

    def noting(self: Stream, pipe: Pipe, most: int) -> int:
        brought.append(taken := fill(self, pipe, most))
        return taken

    monkeypatch.setattr(Stream, "fill", noting)
    return brought


def received(client: socket.socket) -> bytes:
    """Read to the end, slowly at first."""
    data = bytearray(client.recv(10))
    gevent.sleep(0)
    while piece := client.recv(262_144):
        data += piece
    return bytes(data)


@pytest.mark.parametrize("held", [0, 1, 100_000])
def test_every_byte_arrives_once_and_in_order(ends: Ends, pipes: list[int], held: int) -> None:
    relay, endpoint, client = ends
    reading = gevent.spawn(received, client)
    writing = gevent.spawn(endpoint.sendall, BIG[held:])
    assert relay.send(relay.body(buffered=BIG[:held]))
    relay.sink.close_for_writing(1)
    writing.get()
    assert reading.get() == HEAD + BIG
    assert sum(pipes) == len(BIG) - held
    assert relay.ends == [(True, b"")]


def test_nothing_behind_the_body_is_taken(ends: Ends) -> None:
    relay, endpoint, client = ends
    reading = gevent.spawn(received, client)
    writing = gevent.spawn(endpoint.sendall, BIG + b"HTTP/1.1 200 OK")
    relay.send(relay.body())
    relay.sink.close_for_writing(1)
    writing.get()
    assert reading.get() == HEAD + BIG
    assert relay.source.receive(1e9) == b"HTTP/1.1 200 OK"


def test_a_body_cut_short_closes_the_client_before_its_end(ends: Ends, pipes: list[int]) -> None:
    relay, endpoint, client = ends
    reading = gevent.spawn(received, client)
    endpoint.sendall(BIG[:300_000])
    endpoint.close()
    assert not relay.send(relay.body())
    assert relay.sink.sock is None
    assert reading.get() == HEAD + BIG[:300_000]
    assert sum(pipes) == 300_000
    assert relay.ends == [(False, b"")]


def test_the_greatest_length_of_all_is_no_more_than_a_pipe_holds(ends: Ends) -> None:
    relay, endpoint, _ = ends
    endpoint.sendall(b"x" * 1000)
    body = relay.body(length=10**19 - 1)
    with Pipe() as pipe:
        assert body.fill(pipe) == 1000
        assert relay.sink.drain(pipe)
    body.close()


def test_an_endpoint_that_stalls_ends_after_the_gap(ends: Ends) -> None:
    relay, endpoint, _ = ends
    body = relay.body(gap=0.05)
    endpoint.sendall(BIG[:1000])
    assert not relay.send(body)
    with pytest.raises(ServiceTimedOut):
        body.read()


def test_a_client_that_takes_nothing_ends_after_the_gap_and_is_reset(ends: Ends) -> None:
    relay, endpoint, client = ends
    writing = gevent.spawn(endpoint.sendall, BIG * 8)
    with pytest.raises(StreamTimeout):
        relay.send(relay.body(len(BIG) * 8), gap=0.05)
    writing.kill()
    assert relay.ends == [(False, b"")]
    with pytest.raises(ConnectionResetError):
        received(client)


def test_a_client_that_leaves_ends_the_body(ends: Ends) -> None:
    relay, endpoint, client = ends
    client.close()
    writing = gevent.spawn(endpoint.sendall, BIG)
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        relay.send(relay.body())
    writing.kill()
    assert relay.ends == [(False, b"")]


def test_a_pipe_is_used_again_only_when_it_is_empty(ends: Ends) -> None:
    relay, endpoint, _ = ends
    before = Pipe.count
    with Pipe() as pipe:
        endpoint.sendall(b"x")
        relay.body().fill(pipe)
        assert relay.sink.drain(pipe)
    assert Pipe.take() is pipe
    with pipe:
        endpoint.sendall(b"x")
        relay.body().fill(pipe)
    assert (Pipe.count, pipe in room._spare.pipes) == (before, False)


def test_without_a_pipe_the_body_goes_through_a_buffer(
    ends: Ends, pipes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, endpoint, client = ends
    monkeypatch.setattr(Pipe, "count", room._MAX_PIPES)
    reading = gevent.spawn(received, client)
    writing = gevent.spawn(endpoint.sendall, BIG)
    assert relay.send(relay.body())
    relay.sink.close_for_writing(1)
    writing.get()
    assert reading.get() == HEAD + BIG
    assert pipes == []


def test_a_pipe_that_the_system_keeps_small_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    monkeypatch.setattr(room, "SIZE", 8192)  # what a user with many pipes gets
    before = Pipe.count
    assert (Pipe.take(), Pipe.count, len(set(closed))) == (None, before, 2)
    monkeypatch.undo()
    for descriptor in closed:
        os.close(descriptor)


def test_an_early_end_is_an_error_now_and_later(ends: Ends) -> None:
    relay, endpoint, _ = ends
    body = relay.body()
    endpoint.close()
    with Pipe() as pipe:
        for _ in range(2):
            with pytest.raises(ConnectionClosed):
                body.fill(pipe)


def test_what_came_before_anybody_asked_is_no_reason_to_spin(ends: Ends) -> None:
    relay, endpoint, _ = ends
    body = relay.body()
    endpoint.sendall(b"x")
    while not relay.source.is_readable:
        gevent.sleep(0)
    with Pipe() as pipe:
        assert body.fill(pipe, relay.sink) == 1
        assert relay.sink.drain(pipe)
        filling = gevent.spawn(body.fill, pipe, relay.sink)
        gevent.sleep(0)
        endpoint.sendall(b"yz")
        assert filling.get() == 2


def test_another_stream_that_speaks_comes_first(ends: Ends) -> None:
    relay, endpoint, client = ends
    body = relay.body()
    with Pipe() as pipe:
        filling = gevent.spawn(body.fill, pipe, relay.sink)
        gevent.sleep(0)
        client.sendall(b"enough")
        assert filling.get() is None
        assert relay.sink.receive(1e9) == b"enough"
        endpoint.sendall(b"x" * 9)
        assert body.fill(pipe, relay.sink) == 9


@pytest.mark.parametrize(
    ("length", "buffered", "bulk"),
    [(WORTH_BYTES, b"", True), (WORTH_BYTES, b"x", False), (WORTH_BYTES - 1, b"", False)],
)
def test_only_much_is_bulk(ends: Ends, length: int, buffered: bytes, *, bulk: bool) -> None:
    assert ends[0].body(length, buffered).is_bulk is bulk


def test_what_comes_over_tls_is_never_spliced(tmp_path: Path) -> None:
    made: AbstractContextManager[Any] = tls(Certs(tmp_path))
    with made as (stream, _):
        assert not Relay(stream, stream).body().is_bulk


def test_what_goes_out_over_tls_is_never_spliced(tmp_path: Path, pipes: list[int]) -> None:
    made: AbstractContextManager[Any] = tls(Certs(tmp_path))
    with made as (sink, client), plain() as (source, endpoint):
        relay = Relay(source, sink)
        reading = gevent.spawn(received, client)
        writing = gevent.spawn(endpoint.sendall, BIG)
        assert relay.send(relay.body())
        sink.close_for_writing(1)
        writing.get()
        assert reading.get() == HEAD + BIG
        assert pipes == []


def test_with_few_descriptors_there_is_no_pipe_and_spare_ones_are_let_go() -> None:
    with Pipe() as first, Pipe() as second:
        before = Pipe.count
    assert first is not second
    with few_descriptors(CLIENTS):
        taken = [Pipe.take(), Pipe.take()]
        assert (None in taken, Pipe.take(), Pipe.count) == (False, None, before)
        for pipe in taken:
            with pipe or first:
                pass
        assert spares.make_room()
        assert Pipe.count == before - 2
    assert Pipe.take() is not None
