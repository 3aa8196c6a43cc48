"""Which idle connections stay, and for how long."""

import math
from queue import Empty

import pytest

from meshproxy.client.connection import PlainConnection
from meshproxy.client.h1 import idle
from meshproxy.client.h1.idle import IdleStack
from meshproxy.client.transport import ExpiryStats, Session
from meshproxy.metrics.tree import Tree
from meshproxy.net.descriptors import spares
from tests.kit.connections import unopened
from tests.kit.scarcity import few_descriptors


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1000.0]
    monkeypatch.setattr(idle, "monotonic", lambda: clock[0])
    return clock


def stack(session: Session | None = None) -> IdleStack:
    made = IdleStack(1)
    made.session = session
    made.stats = ExpiryStats(Tree())
    return made


class Closing:
    def close(self) -> None:
        """There is no socket."""


def connection(opened_at: float = 1000.0) -> PlainConnection:
    made = unopened(1)
    made.opened_at = opened_at
    return made


def test_the_connection_used_last_is_taken_first() -> None:
    pool, old, new = stack(), connection(), connection()
    pool.put(old)
    pool.put(new)
    assert [pool.take(), pool.take(), pool.take()] == [new, old, None]


def test_an_empty_stack_says_so_as_a_queue_does() -> None:
    pool = stack()
    pool.put(None)
    with pytest.raises(Empty):
        pool.get()


def test_all_can_be_closed_at_once() -> None:
    pool = stack()
    closed: list[int] = []
    for number in range(2):
        pool.put(connection())
        pool.connections[-1].stream = Closing()  # type: ignore[assignment]
        pool.connections[-1].on_close = lambda number=number: closed.append(number)  # type: ignore[misc]
    assert pool.drain() == 2
    assert (closed, pool.qsize(), pool.drain()) == ([0, 1], 0, 0)


def test_an_idle_connection_is_closed_after_its_time(now: list[float]) -> None:
    pool = stack(Session(idle_seconds=10))
    pool.put(connection())
    assert pool.deadline == 1010.0
    now[0] = 1009.9
    pool.expire()
    assert pool.qsize() == 1
    now[0] = 1010.0
    pool.expire()
    assert pool.qsize() == 0
    assert pool.stats.idle.value == 1


def test_a_connection_past_its_life_is_not_handed_out(now: list[float]) -> None:
    pool = stack(Session(life_seconds=60))
    pool.put(connection(opened_at=900.0))
    assert pool.take() is None
    assert pool.stats.lifetime.value == 1
    assert now == [1000.0]


def test_the_kept_connections_outlive_the_pools_idle_time(now: list[float]) -> None:
    pool = stack(Session(spare_seconds=10, keep=1))
    pool.put(connection())
    pool.put(connection())
    now[0] = 1020.0
    pool.expire()
    assert pool.qsize() == 1
    assert pool.deadline == math.inf


def test_a_busy_connection_is_not_dropped_and_an_idle_one_that_ended_is() -> None:
    pool, busy, idling = stack(), connection(), connection()
    pool.put(idling)
    pool.drop_if_stray(busy)
    assert pool.connections == [idling]
    pool.drop_if_stray(idling)  # it has no stream, so it is not connected
    assert pool.connections == []


def test_the_oldest_are_let_go_when_descriptors_are_few() -> None:
    pool = stack()
    for _ in range(3):
        pool.put(connection())
    _, second, third = pool.connections
    assert pool.let_go(1) == 1
    assert pool.connections == [second, third]
    with few_descriptors(0.1, limit=400):
        assert spares.make_room()
    assert pool.connections == []
