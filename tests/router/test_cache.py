"""Which values are kept, which make room, and when each is closed."""

import gevent
import pytest

from meshproxy.metrics.tree import Tree
from meshproxy.net.turn import next_turn
from meshproxy.router.cache import CacheEntry, IdleCache
from tests.kit.effort import lines_run
from tests.kit.wire import WAIT_S


class Value:
    """Knows whether it was closed."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.closed = 0

        self.expired = False

    def close(self, *, expired: bool = False) -> None:
        self.closed += 1
        self.expired = expired


class Cache(IdleCache[str, Value]):
    """A cache with its metrics at hand."""

    def __init__(self, capacity: int) -> None:
        self.metrics = Tree()
        self.built: list[Value] = []
        super().__init__(capacity, self.metrics)

    def begin(self, key: str) -> CacheEntry[str, Value]:
        """Begin to use *key*."""
        return self.take(key, Cache._build, self)

    def use(self, *keys: str) -> None:
        """Use each of *keys* for a moment."""
        for key in keys:
            self.give(self.begin(key))

    @staticmethod
    def _build(key: str, self: "Cache") -> Value:
        self.built.append(Value(key))
        return self.built[-1]

    @property
    def kept(self) -> list[str]:
        return sorted(value.key for value in self.values())

    @property
    def closed(self) -> list[str]:
        return [value.key for value in self.built if value.closed]

    def counts(self) -> tuple[int, ...]:
        """Return misses, evicts, expires and oneshots."""
        names = ("misses", "evicts", "expires", "oneshots")
        return tuple(self.metrics.counter(name).value for name in names)


def test_a_value_is_built_once() -> None:
    cache = Cache(2)
    first = cache.begin("a")
    assert cache.begin("a") is first
    assert (len(cache.built), first.users, cache.counts()) == (1, 2, (1, 0, 0, 0))
    assert cache.metrics.gauge("size").read() == 1


def test_what_fails_to_be_built_is_not_kept() -> None:
    def fail(_: str, owner: str) -> Value:
        raise ZeroDivisionError(owner)

    cache = Cache(2)
    with pytest.raises(ZeroDivisionError):
        cache.take("a", fail, "whom it is for")
    assert (cache.kept, cache.metrics.gauge("size").read()) == ([], 0)


def test_a_full_cache_closes_what_has_been_idle_longest() -> None:
    cache = Cache(3)
    cache.use("a", "b", "c", "b", "a", "c")
    cache.use("d", "d")
    assert cache.closed == ["b"]
    cache.use("e", "e")
    assert (cache.closed, cache.kept) == (["a", "b"], ["c", "d", "e"])
    assert cache.counts()[1] == 2


def test_of_the_names_used_once_the_oldest_makes_room() -> None:
    cache = Cache(3)
    cache.use("a", "a", "b", "c", "d")
    assert cache.closed == ["b"]


def test_what_was_used_last_stays_although_it_came_first() -> None:
    cache = Cache(2)
    cache.use("hot", "cold", "cold", "hot", "other")
    assert cache.kept == ["hot", "other"]


def test_a_name_used_once_makes_room_before_a_name_used_again() -> None:
    cache = Cache(2)
    cache.use("a", "a", "b", "c", "d")
    assert cache.kept == ["a", "d"]
    assert cache.closed == ["b", "c"]


@pytest.mark.parametrize("sweeps", [0, 1])
def test_a_flood_of_unknown_names_does_not_push_out_the_others(sweeps: int) -> None:
    used = [f"used{number}" for number in range(9)]
    cache = Cache(10)
    cache.use(*used, *used)
    for _ in range(sweeps):
        cache.sweep()
    cache.use(*(f"unknown{number}" for number in range(500)))
    assert [name for name in cache.kept if name.startswith("used")] == used


def test_what_is_in_use_is_never_closed_for_room() -> None:
    cache = Cache(1)
    busy = cache.begin("busy")
    shot = cache.begin("shot")
    assert (cache.kept, shot.is_cached, cache.counts()) == (["busy"], False, (2, 0, 0, 1))
    assert cache.closed == []
    cache.give(shot)
    assert cache.closed == ["shot"]
    cache.give(busy)
    assert (cache.closed, cache.kept) == (["shot"], ["busy"])


@pytest.mark.parametrize("busy", [0, 0.5, 1])
@pytest.mark.parametrize("times", [1, 2])
def test_a_miss_costs_the_same_at_any_capacity(busy: float, times: int) -> None:
    def lines_of_a_miss(capacity: int) -> int:
        cache = Cache(capacity)
        names = [str(number) for number in range(capacity)]
        cache.use(*names * times)
        for name in names[: int(capacity * busy)]:
            cache.begin(name)
        return lines_run(lambda: cache.use("new"))

    assert lines_of_a_miss(10_000) == lines_of_a_miss(10)


def test_a_sweep_costs_what_it_closes() -> None:
    def lines_of_a_sweep(kept: int) -> int:
        cache = Cache(0)
        cache.use("idle")
        cache.sweep()
        cache.use(*map(str, range(kept)))
        lines = lines_run(cache.sweep)
        assert cache.closed == ["idle"]
        return lines

    assert lines_of_a_sweep(10_000) == lines_of_a_sweep(10)


def test_a_cache_that_may_hold_less_from_now_on_shrinks_at_the_next_miss() -> None:
    cache = Cache(9)
    cache.use(*map(str, range(9)))
    cache.capacity = 3
    cache.use("new")
    assert cache.kept == ["7", "8", "new"]


def test_zero_is_no_limit() -> None:
    cache = Cache(0)
    cache.use(*map(str, range(2000)))
    assert len(cache.kept) == 2000


def test_a_value_lives_for_one_whole_period_of_idleness_and_not_for_three() -> None:
    cache = Cache(9)
    cache.use("a", "a", "kept", "kept")
    cache.sweep()
    assert cache.closed == []
    cache.use("kept")
    cache.sweep()
    assert cache.closed == ["a"]
    assert cache.counts()[2] == 1


def test_what_is_in_use_does_not_expire_and_begins_to_be_idle_afterwards() -> None:
    cache = Cache(9)
    busy = cache.begin("busy")
    cache.use("other")
    for _ in range(3):
        cache.sweep()
        cache.use("other")
    assert cache.kept == ["busy", "other"]
    cache.give(busy)
    cache.sweep()
    assert cache.kept == ["busy", "other"]
    cache.use("other")
    cache.sweep()
    assert cache.kept == ["other"]


def test_the_least_idle_value_stays() -> None:
    cache = Cache(9)
    cache.use("a", "a", "b", "b")
    for _ in range(5):
        cache.sweep()
    assert cache.kept == ["b"]


def test_values_know_whether_they_have_expired() -> None:
    cache = Cache(1)
    cache.use("evicted", "expired")
    cache.capacity = 9
    for _ in range(2):
        cache.use("other")
        cache.sweep()
    assert [(value.key, value.expired) for value in cache.built if value.closed] == [
        ("evicted", False),
        ("expired", True),
    ]


def test_what_is_given_back_as_expired_is_closed_at_once_after_its_last_use() -> None:
    cache = Cache(9)
    entry, same = cache.begin("a"), cache.begin("a")
    cache.give(entry, expired=True)
    assert cache.kept == ["a"]
    cache.give(same, expired=True)
    assert (cache.kept, cache.closed, cache.counts()[2]) == ([], ["a"], 1)
    cache.close()
    late = cache.begin("late")
    cache.give(late, expired=True)
    assert late.value.expired


def test_a_sweep_lets_others_run_and_they_may_use_the_cache() -> None:
    cache = Cache(0)
    cache.use(*map(str, range(1000)))
    cache.sweep()
    used: list[int] = []

    def use_often() -> None:
        while len(cache.kept) > 10:
            cache.use("0", "999")
            used.append(len(cache.kept))
            next_turn()

    other = gevent.spawn(use_often)
    cache.sweep()
    other.get(timeout=WAIT_S)
    assert len(used) >= 20
    assert cache.kept == ["0", "999"]


def test_an_empty_cache_can_be_swept() -> None:
    cache = Cache(9)
    cache.sweep()
    assert cache.counts() == (0, 0, 0, 0)


def test_closing_closes_what_is_idle_now_and_what_is_used_later_once() -> None:
    cache = Cache(9)
    busy = cache.begin("busy")
    cache.use("idle")
    cache.close()
    assert (cache.closed, cache.kept) == (["idle"], [])
    cache.give(busy)
    assert [value.closed for value in cache.built] == [1, 1]


def test_a_name_that_comes_back_is_built_anew() -> None:
    cache = Cache(1)
    cache.use("a", "b", "a")
    assert [value.key for value in cache.built] == ["a", "b", "a"]


def test_a_closed_cache_keeps_nothing_that_is_taken_later() -> None:
    cache = Cache(9)
    cache.close()
    late = cache.begin("late")
    assert cache.kept == []
    cache.give(late)
    assert cache.closed == ["late"]


def test_stale_keys_are_dropped_those_in_use_after_their_use() -> None:
    cache = Cache(9)
    cache.use("a", "stale")
    busy = cache.begin("stale too")
    cache.drop(lambda key: key.startswith("stale"))
    assert (cache.closed, cache.kept) == (["stale"], ["a"])
    cache.give(busy)
    assert cache.closed == ["stale", "stale too"]
    cache.use("stale")
    assert cache.kept == ["a", "stale"]
