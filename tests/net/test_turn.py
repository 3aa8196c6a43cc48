"""What is posted leaves at the end of the turn, in order, whole, or its sender learns of it."""

import math
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.turn import Unsent, in_turns, next_turn
from tests.kit.certs import Certs
from tests.kit.faults import RESET
from tests.kit.pair import plain, tls

NEVER = math.inf
BIG = bytes(range(256)) * 40_000
Pair = tuple[Stream, socket.socket]
Found = TypeVar("Found")


@pytest.fixture(params=["plain", "tls"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Pair]]:
    """Three streams and the sockets at their other ends."""
    with ExitStack() as made:
        if request.param == "plain":
            yield [made.enter_context(plain()) for _ in range(3)]
        else:
            certs = Certs(tmp_path)
            yield [made.enter_context(tls(certs)) for _ in range(3)]


def in_one_turn(pairs: list[Pair], work: Callable[[Stream], Found]) -> list[Found]:
    """Do *work* with each stream in one turn of the loop, as something came on all of them."""

    def serve(stream: Stream) -> Found:
        assert stream.receive(NEVER) == b"ask"
        return work(stream)

    serving = [gevent.spawn(serve, stream) for stream, _ in pairs]
    gevent.sleep(0)
    for _, other in pairs:
        other.sendall(b"ask")
    return [one.get() for one in serving]


def posted(data: bytes) -> Callable[[Stream], bytes]:
    """Post *data*, then read on."""

    def work(stream: Stream) -> bytes:
        assert stream.enqueue(data)
        return stream.receive(NEVER)

    return work


def buffered(other: socket.socket) -> bytes | None:
    """What has come at *other* so far."""
    other.setblocking(False)
    try:
        return other.recv(65536)  # type: ignore[no-any-return]
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    finally:
        other.settimeout(10)


def test_with_nothing_else_to_do_it_has_to_be_sent_now(pairs: list[Pair]) -> None:
    assert in_one_turn(pairs[:1], lambda stream: stream.enqueue(b"answer")) == [False]
    assert buffered(pairs[0][1]) is None


def test_everything_leaves_at_the_end_of_the_turn() -> None:
    with plain() as one, plain() as two, plain() as three:
        pairs = [one, two, three]
        seen: list[list[bytes | None]] = []

        def work(stream: Stream) -> bytes:
            assert stream.enqueue(b"answer")
            seen.append([buffered(other) for _, other in pairs])
            return stream.receive(NEVER)

        serving = gevent.spawn(in_one_turn, pairs, work)
        for _, other in pairs:
            assert other.recv(100) == b"answer"
            other.sendall(b"more")
        assert serving.get() == [b"more"] * 3
        assert seen == [[None] * 3] * 3


def test_what_is_posted_and_sent_keeps_its_order(pairs: list[Pair]) -> None:
    def work(stream: Stream) -> None:
        assert stream.enqueue(b"one")
        assert not stream.enqueue(b"two")
        stream.send(b"three", 5)
        assert stream.enqueue(b"four")
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
            stream.receive(NEVER)

    in_one_turn(pairs, work)
    for stream, other in pairs:
        stream.close_for_writing(5)
        got = b""
        while data := other.recv(100):
            got += data
        assert got == b"onethreefour"


def test_the_reader_learns_what_the_socket_did_not_take(pairs: list[Pair]) -> None:
    def work(stream: Stream) -> tuple[bytes, bool]:
        with pytest.raises(Unsent) as raised:
            posted(BIG)(stream)
        return raised.value.rest, raised.value.begun

    for (rest, begun), (stream, other) in zip(in_one_turn(pairs, work), pairs, strict=True):
        assert begun
        assert BIG.endswith(rest)
        sending = gevent.spawn(stream.send, rest, 5)
        got = b""
        while len(got) < len(BIG):
            got += other.recv(262_144)
        assert got == BIG
        sending.get()


def test_a_connection_that_is_broken_has_begun_nothing() -> None:
    with plain() as one, plain() as two:

        def work(stream: Stream) -> tuple[bytes, bool]:
            for _, other in (one, two):
                if other.fileno() < 0:
                    continue
                other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                other.close()
            with pytest.raises(Unsent) as raised:
                posted(b"answer")(stream)
            with pytest.raises(OSError, match=r"reset|Broken"):
                stream.send(raised.value.rest, 5)
            return raised.value.rest, raised.value.begun

        assert in_one_turn([one, two], work) == [(b"answer", False)] * 2


def test_without_a_reader_the_rest_goes_with_what_is_sent_next() -> None:
    with plain() as one, plain() as two:
        in_one_turn([one, two], lambda stream: stream.enqueue(BIG))
        gevent.sleep(0)
        assert in_one_turn([one, two], lambda stream: stream.enqueue(b"more")) == [False, False]
        for stream, other in (one, two):
            sending = gevent.spawn(stream.send, b"end", 5)
            got = b""
            while len(got) < len(BIG) + 3:
                got += other.recv(262_144)
            assert got == BIG + b"end"
            sending.get()


def test_what_was_taken_back_is_never_sent(pairs: list[Pair]) -> None:
    def work(stream: Stream) -> tuple[bool, bool]:
        assert stream.enqueue(b"answer")
        return stream.cancel(), stream.cancel()

    assert in_one_turn(pairs, work) == [(True, False)] * 3
    gevent.sleep(0)
    assert [buffered(other) for _, other in pairs] == [None] * 3


def test_a_stream_that_is_closed_first_sends_nothing() -> None:
    with plain() as one, plain() as two:

        def work(stream: Stream) -> None:
            assert stream.enqueue(b"answer")
            stream.close()

        in_one_turn([one, two], work)
        gevent.sleep(0)
        assert [other.recv(100) for _, other in (one, two)] == [b"", b""]


def test_the_next_turn_serves_what_has_come() -> None:
    with plain() as (stream, other):
        reading = gevent.spawn(stream.receive, NEVER)
        gevent.sleep(0)
        other.sendall(b"ask")
        next_turn()
        next_turn()
        assert reading.ready()


def test_steps_are_taken_one_in_each_turn_until_they_are_closed() -> None:
    taken: list[str] = []

    def steps(name: str) -> Generator[None, None, None]:
        for number in range(3):
            taken.append(f"{name}{number}")
            yield

    first, second = steps("a"), steps("b")
    in_turns(first)
    in_turns(second)
    assert taken == []
    while len(taken) < 2:
        next_turn()
    second.close()
    while len(taken) < 4:
        next_turn()
    for _ in range(5):
        next_turn()
    assert taken == ["a0", "b0", "a1", "a2"]
