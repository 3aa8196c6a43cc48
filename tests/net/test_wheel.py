"""Deadlines fire once, late by a tick at most, wherever they were filed from."""

import math
from collections.abc import Callable
from time import monotonic

import gevent
import pytest
from gevent.event import Event

from meshproxy.net.wheel import TICK, Wheel
from tests.kit.wire import WAIT_S


class Entry:
    """Something with a deadline, which notes that it has expired."""

    def __init__(self, deadline: float, then: Callable[[], None] = lambda: None) -> None:
        self.deadline = deadline
        self.filed_until = math.inf
        self.expired = Event()
        self.times = 0
        self._then = then

    def expire(self) -> None:
        self.times += 1
        self.expired.set()
        self._then()


@pytest.fixture
def wheel() -> Wheel:
    return Wheel()


def expires(entry: Entry) -> bool:
    return entry.expired.wait(timeout=WAIT_S)


@pytest.mark.parametrize("away", [-10.0, -TICK, 0.0, TICK / 2, 2.5 * TICK])
def test_a_deadline_fires_also_when_it_was_over_before(wheel: Wheel, away: float) -> None:
    entries = [Entry(monotonic() + away) for _ in range(3)]
    for entry in entries:
        wheel.file(entry)
    assert all(expires(entry) for entry in entries)
    assert [entry.times for entry in entries] == [1, 1, 1]
    assert {entry.filed_until for entry in entries} == {math.inf}


def test_a_passed_deadline_is_looked_at_in_the_next_turn_whatever_the_time() -> None:
    for turned in range(3000):
        wheel = Wheel()
        wheel._timer, wheel._turned = "running", turned
        wheel.file(Entry(0.0))
        assert list(wheel._slots) == [turned + 1]


def test_a_deadline_never_fires_early(wheel: Wheel) -> None:
    early = []
    for ticks in range(1, 8):
        deadline = monotonic() + ticks * TICK / 3
        entry = Entry(deadline, lambda due=deadline: early.append(monotonic() < due))
        wheel.file(entry)
        assert expires(entry)
    assert early == [False] * 7


def test_a_deadline_that_moved_on_is_kept_until_then(wheel: Wheel) -> None:
    entry, reference = Entry(monotonic() + TICK), Entry(monotonic() + 2 * TICK)
    wheel.file(entry)
    wheel.file(reference)
    entry.deadline = later = monotonic() + 4 * TICK
    assert expires(reference)
    assert entry.times == 0
    assert expires(entry)
    assert monotonic() >= later


def test_an_entry_without_deadline_any_more_is_dropped(wheel: Wheel) -> None:
    entry, reference = Entry(monotonic() + TICK), Entry(monotonic() + 2 * TICK)
    wheel.file(entry)
    wheel.file(reference)
    entry.deadline = math.inf
    assert expires(reference)
    assert (entry.times, entry.filed_until) == (0, math.inf)


def test_a_forgotten_entry_leaves_nothing_behind(wheel: Wheel) -> None:
    entry = Entry(monotonic() + 600)
    wheel.forget(entry)
    wheel.file(entry)
    wheel.forget(entry)
    wheel.forget(entry)
    assert (entry.filed_until, wheel._slots) == (math.inf, {})


def test_what_expires_may_file_and_forget_others_even_in_the_past(wheel: Wheel) -> None:
    again, dropped = Entry(0.0), Entry(monotonic() + 600)
    wheel.file(dropped)

    def act() -> None:
        wheel.file(again)
        wheel.forget(dropped)

    first = Entry(monotonic() + TICK, act)
    wheel.file(first)
    assert expires(first)
    assert expires(again)
    assert dropped.filed_until == math.inf


def test_a_neighbour_forgotten_while_it_is_due_does_not_expire(wheel: Wheel) -> None:
    due = monotonic() + TICK
    pair: list[Entry] = []
    for me, other in ((0, 1), (1, 0)):
        pair.append(Entry(due, lambda me=me, other=other: forget_other(me, other)))

    def forget_other(_me: int, other: int) -> None:
        pair[other].deadline = math.inf
        wheel.forget(pair[other])

    for entry in pair:
        wheel.file(entry)
    reference = Entry(due + 2 * TICK)
    wheel.file(reference)
    assert expires(reference)
    assert sum(entry.times for entry in pair) == 1


def test_a_hub_that_was_busy_for_long_misses_no_deadline(wheel: Wheel) -> None:
    entries = [Entry(monotonic() + ticks * TICK / 4) for ticks in range(20)]
    for entry in entries:
        wheel.file(entry)
    busy_until = monotonic() + 4 * TICK
    while monotonic() < busy_until:
        pass
    assert all(expires(entry) for entry in entries)


def test_thousands_of_entries_fire_once_each(wheel: Wheel) -> None:
    entries = [Entry(monotonic() + (number % 5) * TICK) for number in range(5000)]
    for entry in entries:
        wheel.file(entry)
    for entry in entries[::7]:
        entry.deadline = math.inf
        wheel.forget(entry)
    for entry in entries:
        if entry.deadline < math.inf:
            assert expires(entry)
    gevent.sleep(0)
    assert [entry.times for entry in entries[::7]] == [0] * len(entries[::7])
    assert sum(entry.times for entry in entries) == len(entries) - len(entries[::7])
    assert wheel._slots == {}
