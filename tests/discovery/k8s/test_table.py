from collections.abc import Callable
from typing import Any

import gevent
import pytest

from meshproxy.discovery.k8s.objects import Entry
from meshproxy.discovery.k8s.table import Table, Times
from meshproxy.var import PENDING, Activity, Ok, Source, wait
from tests.kit.k8s import wait_until


class Feed:
    """Says whether it runs; the test plays the API."""

    running = False
    starts = 0
    failure = ""

    def __init__(self) -> None:
        self.times = Times()

    def describe(self) -> dict[str, Any]:
        return {"error": self.failure or None}

    def start(self) -> None:
        self.running = True
        self.starts += 1

    def close(self) -> None:
        self.running = False


class World:
    """A table of texts, its feed, and a clock."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.time = 0.0
        self.table: Table[str] = Table(lambda _table: self.feed, lambda: self.time)

    def entry(self, owner: str, fallback_s: float | None = None) -> Activity[Any]:
        return Source(lambda emit: self.table.follow(owner, emit, fallback_s), PENDING)

    def follow(self, owner: str) -> tuple[list[Any], Callable[[], None]]:
        seen: list[Any] = []
        return seen, self.entry(owner).observe(seen.append)


def entry(name: str, owner: str, *values: str) -> Entry[str]:
    return Entry(name, owner, values)


@pytest.fixture
def world() -> World:
    return World()


def test_the_feed_runs_from_the_first_observer_to_the_last(world: World) -> None:
    _, close_one = world.follow("a")
    _, close_two = world.follow("b")
    assert world.feed.starts == 1
    close_one()
    assert world.feed.running
    close_two()
    assert not world.feed.running


def test_nothing_is_known_before_the_first_list(world: World) -> None:
    seen, close = world.follow("a")
    assert seen == [PENDING]
    world.table.replace([entry("a1", "a", "x"), entry("a2", "a", "y"), entry("b1", "b", "z")])
    assert seen == [PENDING, Ok(("x", "y"))]
    close()


def test_an_owner_that_no_object_speaks_of_has_nothing(world: World) -> None:
    world.table.replace([])
    seen, close = world.follow("a")
    world.table.replace([])
    assert seen == [PENDING, Ok(())]
    close()


def test_only_who_is_spoken_of_hears_of_a_change(world: World) -> None:
    seen_a, close_a = world.follow("a")
    seen_b, close_b = world.follow("b")
    world.table.replace([])
    world.table.put(entry("a1", "a", "x"))
    world.table.put(entry("a1", "a", "y"))
    world.table.remove("a1")
    world.table.remove("unheard of")
    assert seen_a == [PENDING, Ok(()), Ok(("x",)), Ok(("y",)), Ok(())]
    assert seen_b == [PENDING, Ok(())]
    close_a()
    close_b()


def test_an_object_may_go_to_another_owner(world: World) -> None:
    seen_a, close_a = world.follow("a")
    seen_b, close_b = world.follow("b")
    world.table.replace([entry("s", "a", "x")])
    world.table.put(entry("s", "b", "x"))
    assert seen_a[-1] == Ok(())
    assert seen_b[-1] == Ok(("x",))
    close_a()
    close_b()


def test_a_list_replaces_all_that_was_known(world: World) -> None:
    seen, close = world.follow("a")
    world.table.replace([entry("a1", "a", "x"), entry("a2", "a", "y")])
    world.table.replace([entry("a2", "a", "y")])
    assert seen[-1] == Ok(("y",))
    close()


def test_after_a_rest_a_new_list_is_awaited(world: World) -> None:
    _, close = world.follow("a")
    world.table.replace([entry("a1", "a", "x")])
    close()
    seen, close = world.follow("a")
    assert seen == [PENDING]
    world.table.replace([entry("a1", "a", "new")])
    assert seen == [PENDING, Ok(("new",))]
    close()


def test_after_a_rest_the_old_state_serves_when_the_api_is_away(world: World) -> None:
    _, close = world.follow("a")
    world.table.replace([entry("a1", "a", "x")])
    close()
    seen, close = world.follow("a")
    world.table.use_last_known()
    assert seen == [PENDING, Ok(("x",))]
    close()


def test_without_any_list_there_is_nothing_to_make_do_with(world: World) -> None:
    seen, close = world.follow("a")
    world.table.use_last_known()
    assert seen == [PENDING]
    close()


def test_the_fallback_time_ends_while_no_list_has_come(world: World) -> None:
    assert wait(world.entry("a", fallback_s=0.01), timeout_s=5) == Ok(None)


def test_the_fallback_time_counts_from_the_first_use_of_the_table(world: World) -> None:
    _, close = world.follow("b")
    world.time = 100.0
    assert world.entry("a", fallback_s=100).sample() == Ok(None)
    assert world.entry("a", fallback_s=101).sample() == PENDING
    close()


def test_a_late_list_ends_the_negative_answer(world: World) -> None:
    seen: list[Any] = []
    close = world.entry("a", fallback_s=0).observe(seen.append)
    world.table.replace([entry("a1", "a", "x")])
    assert seen == [Ok(None), Ok(("x",))]
    close()


def test_with_a_list_there_is_no_fallback(world: World) -> None:
    seen: list[Any] = []
    close = world.entry("a", fallback_s=0.001).observe(seen.append)
    world.table.replace([entry("a1", "a", "x")])
    done = gevent.spawn_later(0.005, lambda: None)
    wait_until(lambda: done.dead)
    assert seen == [PENDING, Ok(("x",))]
    close()


def test_it_tells_what_it_knows(world: World) -> None:
    assert world.table.followed("endpoints") == ("endpoints", "", 0, "", 0, 0)
    _, close = world.follow("a")
    world.feed.times.listed = 1_700_000_000
    world.table.replace([entry("a1", "a", "x"), entry("a2", "a", "y"), entry("b1", "b", "z")])
    world.feed.failure, world.feed.times.failing_since = "refused", 1_700_000_009
    assert world.table.followed("endpoints") == (
        "endpoints", "3 objects", 1_700_000_000, "refused", 1_700_000_009, 0,
    )  # fmt: skip
    assert world.table.describe() == {
        "state": {
            "running": True,
            "lastUpdatedAt": "2023-11-14 22:13:20 +0000",
            "value": {"objects": 3, "followed": {"a": 2}},
        },
        "watch": {"error": "refused"},
    }
    assert dict(world.table.owners()) == {"a": ("x", "y"), "b": ("z",)}
    close()
