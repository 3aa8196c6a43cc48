"""What waits of all bodies has a limit, and whoever holds most pays for it."""

from collections.abc import Iterator

import gevent
import pytest
from h2.events import DataReceived, StreamReset

from meshproxy.errors import ProxyError
from meshproxy.h2.errors import ErrorCode
from meshproxy.net.h2 import inbound, outbound
from meshproxy.net.h2.memory import BodyMemory, MemoryShort
from tests.kit.h2_wire import GET, POST, H2Wire, answer, bare, until
from tests.kit.pair import WAIT_S

KIB = 1024


class Body:
    """A body that notes why it was given up."""

    def __init__(self) -> None:
        self.failure: ProxyError | None = None

    def give_up(self, error: ProxyError) -> None:
        self.failure = error


def test_up_to_the_limit_nothing_happens() -> None:
    memory = BodyMemory(100 * KIB)
    body = Body()
    memory.note(body, "one", 100 * KIB)
    gevent.sleep(0)
    assert (memory.total, body.failure) == (100 * KIB, None)
    memory.note(body, "one", 0)
    assert memory.total == 0


def test_the_largest_bodies_of_who_holds_most_are_given_up() -> None:
    memory = BodyMemory(100 * KIB)
    greedy, modest = [Body() for _ in range(8)], Body()
    memory.note(modest, "modest", 30 * KIB)
    for number, body in enumerate(greedy):
        memory.note(body, "greedy", (6 + number) * KIB)
    until(lambda: memory.total <= 100 * KIB * 7 / 8)
    assert [isinstance(one.failure, MemoryShort) for one in greedy] == [False] * 6 + [True] * 2
    assert modest.failure is None
    assert memory.total == 30 * KIB + sum(range(6, 12)) * KIB


def test_who_holds_most_after_each_loss_pays_next() -> None:
    memory = BodyMemory(100 * KIB)
    bodies = {(one, size): Body() for one in "abc" for size in (10, 11, 12)}
    bodies["d", 5] = Body()
    for (one, size), body in bodies.items():
        memory.note(body, one, size * KIB)
    assert memory.total == 104 * KIB
    until(lambda: memory.total <= 100 * KIB * 7 / 8)
    lost = {name for name, body in bodies.items() if body.failure is not None}
    assert len(lost) == 2
    assert {size for _, size in lost} == {12}
    for session in "abcd":
        for size in (10, 11, 12):
            if (session, size) in bodies:
                memory.note(bodies[session, size], session, 0)
    assert memory.total == 5 * KIB


def test_what_is_little_or_gone_is_not_counted() -> None:
    memory = BodyMemory(100 * KIB)
    small, body = Body(), Body()
    memory.note(small, "one", 4 * KIB)
    assert memory.total == 0
    memory.note(body, "one", 50 * KIB)
    memory.note(body, "one", 10 * KIB)
    assert memory.total == 10 * KIB
    memory.note(body, "one", 1)
    assert memory.total == 1


def test_a_body_that_comes_to_its_end_meanwhile_is_left_alone() -> None:
    memory = BodyMemory(100 * KIB)
    body = Body()
    memory.note(body, "one", 101 * KIB)
    memory.note(body, "one", 0)
    gevent.sleep(0)
    assert body.failure is None


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Iterator[BodyMemory]:
    memory = BodyMemory(200 * KIB)
    monkeypatch.setattr(inbound, "memory", memory)
    monkeypatch.setattr(outbound, "memory", memory)
    with gevent.Timeout(WAIT_S):
        yield memory


def test_responses_that_a_client_does_not_take(scarce: BodyMemory) -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        streams = [wire.ask(GET) for _ in range(8)]
        for stream in streams:
            owner = session.owner(stream)
            answer(owner)
            owner.outbound.push(bytes(100 * KIB))
        assert wire.until(StreamReset).error_code == ErrorCode.CANCEL
        until(lambda: scarce.total <= 175 * KIB)
        left = [one for one in session.owners.values() if one.failure is None]
        assert left
        assert all(
            type(one.failure) in {MemoryShort, type(None)} for one in session.owners.values()
        )
        session.lost("")
        assert scarce.total == 0


def test_what_waits_to_be_sent_counts_in_powers_of_two(scarce: BodyMemory) -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask(GET))
        answer(owner)
        owner.outbound.push(bytes(65535))
        assert scarce.total == 0
        for counted in (32768, 65536, 65536):
            owner.outbound.push(bytes(20_000))
            assert scarce.total == counted
        for _ in range(4):
            wire.until(DataReceived)
        for granted, counted in ((4000, 65536), (16_000, 65536), (8000, 32768)):
            wire.h2.increment_flow_control_window(granted, 1)
            wire.h2.increment_flow_control_window(granted)
            wire.flush()
            assert len(wire.until(DataReceived).data) == granted
            assert scarce.total == counted
        session.lost("")
        assert scarce.total == 0


def test_requests_that_nobody_reads(scarce: BodyMemory) -> None:
    with bare(connection_window_bytes=1 << 20) as (session, sock):
        wire = H2Wire(sock)
        streams = [wire.ask(POST, ends=False) for _ in range(4)]
        for stream in streams:
            wire.send(stream, bytes(60_000))
            wire.glance()
        owners = [session.owner(stream) for stream in streams]
        until(
            lambda: (
                scarce.total <= 175 * KIB
                and any(("input_closed", None) in one.said for one in owners)
            )
        )
        given_up = next(one for one in owners if one.said)
        assert given_up.inbound is not None
        with pytest.raises(MemoryShort):
            given_up.inbound.read()
        kept = next(one for one in owners if not one.said)
        assert kept.inbound is not None
        assert len(kept.inbound.read() or b"") == 60_000
        assert scarce.total <= 120_000
