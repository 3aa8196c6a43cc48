"""The laws of Var, Source, flat_map, collect and wait."""

import itertools
import logging
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.var import PENDING, Activity, Failed, Ok, Source, State, Var, collect, wait


class Work:
    """A source that counts its starts and stops and keeps the latest way to publish."""

    def __init__(self, *at_start: int) -> None:
        self.starts = 0
        self.stops = 0
        self.emit: Callable[[int], None] = self._unstarted
        self.at_start = at_start
        self.var: Var[int] = Source(self._start, 0)

    def _unstarted(self, _value: int) -> None:
        raise AssertionError

    def _start(self, emit: Callable[[int], None]) -> Callable[[], None]:
        self.starts += 1
        self.emit = emit
        for value in self.at_start:
            emit(value)
        return self._stop

    def _stop(self) -> None:
        self.stops += 1


def seen_by(var: Var[int]) -> tuple[list[int], Callable[[], None]]:
    seen: list[int] = []
    return seen, var.observe(seen.append)


def test_an_observer_gets_the_present_value_then_each_change() -> None:
    var = Var(1)
    seen, close = seen_by(var)
    var.set(2)
    var.set(2)
    var.set(3)
    close()
    var.set(4)
    assert seen == [1, 2, 3]
    assert var.sample() == 4


def test_an_observer_that_raises_is_logged_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    var = Var(1)

    def fail_on_two(value: int) -> None:
        if value == 2:
            raise KeyError(value)

    var.observe(fail_on_two)
    seen, _ = seen_by(var)
    with caplog.at_level(logging.ERROR):
        var.set(2)
    assert seen == [1, 2]
    assert "an observer failed" in caplog.text


def test_an_observer_that_raises_at_once_is_not_registered() -> None:
    work = Work()
    with pytest.raises(ZeroDivisionError):
        work.var.observe(lambda value: 1 // value)  # type: ignore[arg-type]
    assert (work.starts, work.stops) == (1, 1)


def test_a_set_from_an_observer_leaves_everyone_at_the_newest_value() -> None:
    var = Var(0)
    var.observe(lambda value: var.set(2) if value == 1 else None)
    seen, _ = seen_by(var)
    var.set(1)
    assert seen == [0, 2]


def test_an_observer_closed_by_another_is_not_called_any_more() -> None:
    var = Var(0)
    closes: list[Callable[[], None]] = []
    var.observe(lambda value: closes[0]() if value else None)
    seen: list[int] = []
    closes.append(var.observe(seen.append))
    var.set(1)
    assert seen == [0]


def test_a_source_starts_at_the_first_observer_and_stops_after_the_last() -> None:
    work = Work()
    assert work.starts == 0
    first, close_first = seen_by(work.var)
    second, close_second = seen_by(work.var)
    work.emit(5)
    close_first()
    close_first()
    assert (work.starts, work.stops) == (1, 0)
    close_second()
    assert (work.starts, work.stops) == (1, 1)
    assert first == second == [0, 5]


def test_a_source_that_publishes_while_starting_shows_only_the_latest() -> None:
    work = Work(1, 2)
    seen, _ = seen_by(work.var)
    assert seen == [2]


def test_a_stopped_source_drops_late_values_and_begins_again_at_the_initial_one() -> None:
    work = Work()
    _, close = seen_by(work.var)
    late = work.emit
    late(7)
    close()
    seen, _ = seen_by(work.var)
    late(8)
    assert seen == [0]
    assert work.starts == 2


def test_sampling_an_idle_source_observes_once_and_releases() -> None:
    work = Work(4)
    assert work.var.sample() == 4
    assert (work.starts, work.stops) == (1, 1)


def test_a_source_that_cannot_start_stays_idle() -> None:
    def start(_emit: Callable[[int], None]) -> Callable[[], None]:
        raise KeyError

    source = Source(start, 0)
    with pytest.raises(KeyError):
        source.observe(print)
    with pytest.raises(KeyError):
        source.sample()


def test_map_swallows_equal_results() -> None:
    var = Var(1)
    seen, _ = seen_by(var.map(lambda value: value // 2))
    for value in (2, 3, 4):
        var.set(value)
    assert seen == [0, 1, 2]


def test_a_derived_value_works_only_while_observed() -> None:
    work = Work()
    derived = work.var.map(lambda value: value + 1).flat_map(lambda value: Var(value * 10))
    assert work.starts == 0
    seen, close = seen_by(derived)
    work.emit(1)
    close()
    assert seen == [10, 20]
    assert (work.starts, work.stops) == (1, 1)


def test_flat_map_follows_the_picked_one_and_releases_the_other() -> None:
    left, right, picks_left = Work(), Work(), Var(value=True)
    seen, close = seen_by(picks_left.flat_map(lambda pick: left.var if pick else right.var))
    left.emit(1)
    picks_left.set(False)
    right.emit(2)
    left.emit(3)
    assert (left.stops, right.stops) == (1, 0)
    close()
    assert (left.starts, right.starts, right.stops) == (1, 1, 1)
    assert seen == [0, 1, 0, 2]


def test_flat_map_keeps_shared_work_running_while_it_switches() -> None:
    work, outer = Work(), Var(1)
    _, close = seen_by(outer.flat_map(lambda factor: work.var.map(lambda value: value * factor)))
    outer.set(2)
    assert (work.starts, work.stops) == (1, 0)
    close()
    assert work.stops == 1


def test_flat_map_drops_what_the_old_inner_says_while_the_new_one_starts() -> None:
    old, outer = Var(0), Var(value=True)

    def start(emit: Callable[[int], None]) -> Callable[[], None]:
        old.set(99)
        emit(1)
        return lambda: None

    new: Var[int] = Source(start, 0)
    seen, _ = seen_by(outer.flat_map(lambda pick: old if pick else new))
    outer.set(False)
    assert seen == [0, 1]


def test_flat_map_survives_an_inner_that_changes_the_outer() -> None:
    outer = Var(0)
    works = [Work(), Work(), Work()]

    def pick(value: int) -> Var[int]:
        def start(emit: Callable[[int], None]) -> Callable[[], None]:
            if value == 1:
                outer.set(2)
            return works[value].var.observe(emit)

        return Source(start, -1)

    seen, close = seen_by(outer.flat_map(pick))
    outer.set(1)
    works[2].emit(9)
    assert seen == [0, 9]
    close()
    assert [work.starts - work.stops for work in works] == [0, 0, 0]


def test_collect_waits_for_all_members_and_keeps_their_order() -> None:
    left, right = Var(1), Var(2)
    seen: list[tuple[int, ...]] = []
    close = collect([left, right]).observe(seen.append)
    right.set(3)
    close()
    left.set(9)
    assert seen == [(1, 2), (1, 3)]
    assert collect([]).sample() == ()


def test_collect_releases_every_member() -> None:
    works = [Work(), Work()]
    collect([work.var for work in works]).observe(lambda _values: None)()
    assert [work.stops for work in works] == [1, 1]


def test_failures_that_say_the_same_are_equal() -> None:
    assert Failed(ValueError("a")) == Failed(ValueError("a"))
    assert hash(Failed(ValueError("a"))) == hash(Failed(ValueError("a")))
    assert Failed(ValueError("a")) != Failed(ValueError("b"))
    assert Failed(ValueError("a")) != Failed(KeyError("a"))
    assert Failed(ValueError("a")) != PENDING


def test_wait_answers_a_settled_activity_at_once() -> None:
    settled: Activity[int] = Var(Ok(1))
    assert wait(settled, 0.0) == Ok(1)


def test_wait_gives_up_as_pending() -> None:
    pending: Activity[int] = Var(PENDING)
    assert wait(pending, 0.0) == PENDING


def test_wait_parks_until_the_activity_settles_and_then_lets_go() -> None:
    observed = threading.Event()
    stopped: list[bool] = []
    emits: list[Callable[[State[int]], None]] = []

    def start(emit: Callable[[State[int]], None]) -> Callable[[], None]:
        emits.append(emit)
        observed.set()
        return lambda: stopped.append(True)

    def settle() -> None:
        observed.wait(5)
        emits[0](Ok(3))
        emits[0](PENDING)

    activity: Activity[int] = Source(start, PENDING)
    thread = threading.Thread(target=settle)
    thread.start()
    assert wait(activity, 5.0) == Ok(3)
    thread.join()
    assert stopped == [True]


@given(st.lists(st.integers(0, 3)))
def test_observers_never_see_the_same_value_twice_in_a_row(values: list[int]) -> None:
    var = Var(0)
    seen, _ = seen_by(var.map(lambda value: value % 2))
    for value in values:
        var.set(value)
    assert all(a != b for a, b in itertools.pairwise(seen))
    assert seen[-1] == ([0, *values][-1]) % 2


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5))))
def test_flat_map_always_agrees_with_sampling_by_hand(steps: list[tuple[int, int]]) -> None:
    outer, inners = Var(0), [Var(0), Var(10)]
    seen, _ = seen_by(outer.flat_map(lambda at: inners[at]))
    for which, value in steps:
        if which == 2:
            outer.set(value % 2)
        else:
            inners[which].set(value)
        assert seen[-1] == inners[outer.sample()].sample()
