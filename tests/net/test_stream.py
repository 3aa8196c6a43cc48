"""Streams over real sockets: what is read, what is waited for, and how waits and streams end."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from meshproxy.net.stream import Stream, StreamTimeout, wait_either
from meshproxy.net.wheel import wheel
from tests.kit.certs import Certs
from tests.kit.faults import RESET
from tests.kit.pair import plain, tls

Pair = tuple[Stream, socket.socket]
BIG = bytes(range(256)) * 40_000
NEVER = math.inf


@pytest.fixture(params=["plain", "tls server", "tls client"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    made: AbstractContextManager[Pair]
    if request.param == "plain":
        made = plain()
    else:
        made = tls(Certs(tmp_path), serving=request.param == "tls server")
    with made as both:
        yield both


def soon() -> float:
    return monotonic() + 0.01


def drain(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size and (data := sock.recv(65536)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def fill(stream: Stream) -> int:
    """Send until the socket takes no more; how much it took."""
    taken = 0
    while sent := stream.send_some(b"x" * 65536):
        taken += sent
    return taken


def test_bytes_come_as_they_were_sent_then_the_end(pair: Pair) -> None:
    stream, other = pair
    other.sendall(b"one")
    assert stream.receive(NEVER) == b"one"
    waiting = gevent.spawn(stream.receive, NEVER)
    gevent.sleep(0)
    other.sendall(b"two")
    assert waiting.get() == b"two"
    other.close()
    assert ends(stream)


def test_bulk_goes_both_ways_whole(pair: Pair) -> None:
    stream, other = pair
    sending = gevent.spawn(stream.send, BIG, 5)
    assert drain(other, len(BIG)) == BIG
    sending.get()
    sending = gevent.spawn(other.sendall, BIG)
    buffer, got = memoryview(bytearray(100_000)), bytearray()
    while len(got) < len(BIG):
        got += buffer[: stream.receive_into(buffer, NEVER)]
    assert got == BIG
    sending.get()


def test_a_small_buffer_leaves_nothing_of_a_large_record_behind(pair: Pair) -> None:
    stream, other = pair
    other.sendall(b"abcdef")
    buffer = memoryview(bytearray(2))
    assert (stream.receive_into(buffer, NEVER), bytes(buffer)) == (2, b"ab")
    assert stream.receive(monotonic() + 5) == b"cdef"


def test_a_read_without_bytes_ends_at_its_deadline_and_the_stream_goes_on(pair: Pair) -> None:
    stream, other = pair
    with pytest.raises(StreamTimeout):
        stream.receive(soon())
    with pytest.raises(StreamTimeout):
        stream.receive_into(memoryview(bytearray(9)), soon())
    other.sendall(b"late")
    assert stream.receive(NEVER) == b"late"


@pytest.mark.parametrize("over", [0.0, -1e9])
def test_a_deadline_that_is_over_ends_the_wait_too(pair: Pair, over: float) -> None:
    stream, _ = pair
    for _ in range(10):
        with pytest.raises(StreamTimeout):
            stream.receive(over)


def test_a_peer_that_takes_nothing_ends_the_send(pair: Pair) -> None:
    stream, _ = pair
    with pytest.raises(StreamTimeout):
        stream.send(b"x" * 50_000_000, 0.1)


def test_a_peer_that_takes_a_little_now_and_then_is_waited_for(pair: Pair) -> None:
    stream, other = pair
    fill(stream)
    sending = gevent.spawn(stream.send, BIG, 5)
    while not sending.ready():
        other.recv(65536)
    assert sending.get() is None


def test_a_reset_is_an_error_of_the_reader_and_the_writer(pair: Pair) -> None:
    stream, other = pair
    raw = socket.socket(fileno=other.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    raw.close()
    with pytest.raises(OSError, match=r"reset|EOF|without"):
        stream.receive(NEVER)
    with pytest.raises(OSError):  # noqa: PT011 - EPIPE, ECONNRESET or OpenSSL's own
        stream.send(b"x" * 1_000_000, 1)


def test_half_closing_shows_the_peer_a_clean_end_and_reading_goes_on(pair: Pair) -> None:
    stream, other = pair
    stream.send(b"last words", 1)
    stream.close_for_writing(5)
    assert drain(other, 1000) == b"last words"
    other.sendall(b"answer")
    assert stream.receive(NEVER) == b"answer"


def test_a_reset_stream_is_no_clean_end_for_the_peer(pair: Pair) -> None:
    stream, other = pair
    stream.send(b"part", 1)
    other.recv(4)
    stream.reset()
    stream.reset()
    with pytest.raises(OSError):  # noqa: PT011
        other.recv(1)


def test_closing_twice_is_harmless_and_the_wheel_forgets(pair: Pair) -> None:
    stream, _ = pair
    with pytest.raises(StreamTimeout):
        stream.receive(soon())
    waiting = gevent.spawn(stream.receive, monotonic() + 600)
    gevent.sleep(0)
    assert stream.filed_until < NEVER
    waiting.kill()
    stream.close()
    stream.close()
    assert stream.filed_until == NEVER
    assert not any(stream in slot for slot in wheel._slots.values())


def test_an_idle_stream_tells_of_bytes_and_of_the_end(pair: Pair) -> None:
    stream, other = pair
    gevent.sleep(0.01)
    assert not stream.is_readable
    other.sendall(b"unasked")
    wait_until_readable(stream)
    assert stream.receive(NEVER) == b"unasked"
    assert not stream.is_readable
    other.close()
    wait_until_readable(stream)


def test_what_nobody_waited_for_is_told_of(pair: Pair) -> None:
    stream, other = pair
    told: list[bool] = []
    stream.on_stray = lambda: told.append(stream.is_readable)
    other.sendall(b"unasked")
    while True not in told:  # the session tickets of TLS are nothing to read
        gevent.sleep(0)
    assert stream.receive(NEVER) == b"unasked"


def test_a_stray_is_found_before_the_hub_has_heard_of_it(pair: Pair) -> None:
    stream, other = pair
    other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    gevent.sleep(0.01)
    assert not stream.has_stray()
    other.sendall(b"unasked")
    assert stream.has_stray()
    assert stream.receive(NEVER) == b"unasked"


def ends(stream: Stream) -> bool:
    try:
        return stream.receive(NEVER) == b""
    except ConnectionResetError:
        return type(stream) is not Stream  # this peer says no goodbye


def wait_until_readable(stream: Stream) -> None:
    while not stream.is_readable:
        gevent.sleep(0)


def test_a_killed_wait_leaves_a_stream_that_works(pair: Pair) -> None:
    stream, other = pair
    for wait in (
        lambda: stream.receive(NEVER),
        lambda: (fill(stream), stream.wait_writable(NEVER)),
        lambda: stream.wait_writable(NEVER, or_readable=True),
    ):
        waiting = gevent.spawn(wait)
        gevent.sleep(0)
        waiting.kill()
        assert isinstance(waiting.value, gevent.GreenletExit)
    other.sendall(b"still here")
    gevent.sleep(0)
    assert stream.receive(NEVER) == b"still here"


def test_expire_without_a_wait_does_nothing(pair: Pair) -> None:
    stream, other = pair
    stream.expire()
    other.sendall(b"x")
    assert stream.receive(NEVER) == b"x"


def test_what_has_come_is_had_without_waiting(pair: Pair) -> None:
    stream, other = pair
    assert stream.receive_buffered() is None
    other.sendall(b"here")
    wait_until_readable(stream)
    assert stream.receive_buffered() == b"here"
    assert stream.receive_buffered() is None


@pytest.mark.parametrize("noticed", [True, False])
def test_a_reset_is_an_end_at_hand(pair: Pair, *, noticed: bool) -> None:
    stream, other = pair
    raw = socket.socket(fileno=other.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    raw.close()
    if noticed:
        wait_until_readable(stream)
    assert (stream.receive_buffered() or stream.receive_buffered()) == b""  # after session tickets


def test_a_full_writer_is_woken_by_something_to_read_and_says_so(pair: Pair) -> None:
    stream, other = pair
    fill(stream)
    writing = gevent.spawn(stream.wait_writable, monotonic() + 5, or_readable=True)
    gevent.sleep(0)
    other.sendall(b"stop that")
    writing.get()
    assert stream.is_readable
    stream.wait_writable(0.0, or_readable=True)
    assert stream.receive(NEVER) == b"stop that"


def test_a_writer_is_not_ended_by_the_deadline_of_an_earlier_read(pair: Pair) -> None:
    stream, other = pair
    other.sendall(b"x")
    deadline = monotonic() + 0.3
    assert stream.receive(deadline) == b"x"
    taken = fill(stream)
    writing = gevent.spawn(stream.wait_writable, monotonic() + 5, or_readable=True)
    with plain() as (reference, _), pytest.raises(StreamTimeout):
        reference.receive(deadline + 0.1)
    assert not writing.ready()
    drain(other, taken)
    writing.get()


def test_a_full_writer_is_woken_by_room(pair: Pair) -> None:
    stream, other = pair
    taken = fill(stream)
    writing = gevent.spawn(stream.wait_writable, monotonic() + 5, or_readable=True)
    drain(other, taken)
    writing.get()
    assert not stream.is_readable


@pytest.mark.parametrize("order", ["before", "during"])
@pytest.mark.parametrize("end", [0, 1])
def test_either_of_two_streams_wakes_the_one_who_waits(pair: Pair, order: str, end: int) -> None:
    source, at_source = pair
    with plain() as (other, at_other):
        sender = (at_source, at_other)[end]
        if order == "before":
            sender.sendall(b"news")
            wait_until_readable((source, other)[end])
        waiting = gevent.spawn(wait_either, source, other, monotonic() + 5)
        gevent.sleep(0)
        sender.sendall(b"news")
        assert waiting.get() is bool(end)
        assert (source, other)[end].receive(NEVER).startswith(b"news")


def test_waiting_for_either_ends_at_the_deadline(pair: Pair) -> None:
    with plain() as (other, at_other):
        with pytest.raises(StreamTimeout):
            wait_either(pair[0], other, soon())
        at_other.sendall(b"later")
        assert other.receive(NEVER) == b"later"


def test_a_reset_is_told_from_what_may_be_read(pair: Pair) -> None:
    stream, other = pair
    told = Event()
    stream.on_stray = told.set
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    socket.socket.close(other)
    assert told.wait(10)
    assert stream.was_reset()


@pytest.mark.parametrize("ends", [False, True], ids=["bytes", "end"])
def test_bytes_and_an_end_are_no_reset(pair: Pair, ends: bool) -> None:
    stream, other = pair
    if ends:
        other.shutdown(socket.SHUT_WR)
    else:
        other.sendall(b"x")
    while not stream.is_readable:
        gevent.sleep(0)
    assert not stream.was_reset()
