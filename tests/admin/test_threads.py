"""What waits, and where."""

import re
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.event import Event

from meshproxy.admin.threads import MAX_PLACES, threads
from tests.kit.k8s import wait_until

HERE = "tests/admin/test_threads.py"


def begin(event: Event) -> None:
    wait_for(event)


def wait_for(event: Event) -> None:
    event.wait()


@pytest.fixture
def event() -> Iterator[Event]:
    yield (event := Event())
    event.set()


def test_greenlets_at_one_place_are_one_entry_with_all_that_led_there(event: Event) -> None:
    waiting = [gevent.spawn(begin, event) for _ in range(7)]
    gevent.sleep(0)
    (entry,) = [one for one in threads().split("\n\n") if "wait_for" in one]
    places = [line.partition(":")[0::2] for line in entry.splitlines()]
    assert [place for place, _ in places] == ["7 x " + HERE, "      " + HERE]
    assert [function.split()[1] for _, function in places] == ["wait_for", "begin"]
    event.set()
    gevent.joinall(waiting)
    assert "wait_for" not in threads()


def test_those_that_have_not_begun_are_named_so(event: Event) -> None:
    later = [gevent.spawn_later(60, wait_for, event) for _ in range(100)]
    try:
        (number,) = re.findall(r"^(\d+) x not started$", threads(), re.MULTILINE)
    finally:
        gevent.killall(later)
    assert int(number) >= len(later)


def test_threads_beside_the_loop_are_shown() -> None:
    lock = monkey.get_original("_thread", "allocate_lock")()
    lock.acquire()
    native = gevent.get_hub().threadpool.spawn(_wait_natively, lock)
    try:
        wait_until(lambda: "_wait_natively" in threads().partition("threads run beside")[2])
    finally:
        lock.release()
    native.get()


def test_this_thread_is_not_beside_the_loop() -> None:
    assert "threads.py" not in threads().partition("threads run beside")[2]


def test_the_page_is_bounded(event: Event) -> None:
    waiting = [gevent.spawn(_left, event, number, 8) for number in range(256)]
    gevent.sleep(0)
    text = threads()
    assert text.count(" x ") <= 2 * MAX_PLACES
    assert "places more" in text
    event.set()
    gevent.joinall(waiting)


def _left(event: Event, number: int, depth: int) -> None:
    """Wait below *depth* calls that are others for each *number*."""
    if depth:
        (_right if number % 2 else _left)(event, number // 2, depth - 1)
    else:
        event.wait()


def _right(event: Event, number: int, depth: int) -> None:
    _left(event, number, depth)


def _wait_natively(lock: Any) -> None:
    with lock:
        pass
