"""At most so many inside, the others in line."""

import math
from time import monotonic

import gevent
import pytest

from meshproxy.client.connection_limiter import ConnectionLimiter, WaitStats
from meshproxy.errors import PoolFull, TimedOutInQueue
from meshproxy.metrics.tree import Tree


def limiter(size: int, max_waiters: float = math.inf) -> tuple[ConnectionLimiter, WaitStats]:
    stats = WaitStats(Tree())
    return ConnectionLimiter(size, max_waiters, stats), stats


def soon() -> float:
    return monotonic() + 5


def test_who_leaves_lets_the_first_in_line_in() -> None:
    gate, stats = limiter(1)
    gate.enter(soon())
    entered: list[str] = []

    def go(name: str) -> None:
        gate.enter(soon())
        entered.append(name)

    line = [gevent.spawn(go, name) for name in "ab"]
    gevent.idle()
    assert entered == []
    assert stats.waiting.value == 2
    gate.leave()
    line[0].join()
    assert entered == ["a"]
    gate.leave()
    gevent.joinall(line)
    assert entered == ["a", "b"]
    assert (stats.waiting.value, stats.waited.value) == (0, 2)


def test_a_full_line_is_refused_at_once() -> None:
    gate, stats = limiter(1, max_waiters=0)
    gate.enter(soon())
    with pytest.raises(PoolFull):
        gate.enter(soon())
    assert stats.refused.value == 1


def test_who_waits_too_long_leaves_the_line() -> None:
    gate, _ = limiter(1)
    gate.enter(soon())
    with pytest.raises(TimedOutInQueue):
        gate.enter(monotonic())
    gate.leave()
    gate.enter(monotonic())


def test_a_killed_waiter_does_not_take_the_place_with_it() -> None:
    gate, stats = limiter(1)
    gate.enter(soon())
    waiter = gevent.spawn(gate.enter, soon())
    gevent.idle()
    waiter.kill(block=False)
    gate.leave()
    waiter.join()
    gate.enter(monotonic())
    assert stats.waiting.value == 0
