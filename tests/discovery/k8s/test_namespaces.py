"""What is done about namespaces that may not exist, by a table that plays the API's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from meshproxy.discovery.k8s.namespaces import MAX_LISTS, SPACING_S, Claim, Namespaces
from meshproxy.discovery.k8s.objects import Entry
from meshproxy.discovery.k8s.table import Table
from tests.kit.k8s import wait_until
from tests.kit.wire import WAIT_S

NEVER_S = 600


class Feed:
    """Says whether it runs."""

    running = False

    def start(self) -> None:
        self.running = True

    def close(self) -> None:
        self.running = False


class World:
    """The list of namespaces, as the test makes it, and those that know it."""

    def __init__(self, empty_s: float = NEVER_S) -> None:
        self.feed = Feed()
        self.table: Table[str] = Table(lambda _: self.feed, lambda: 0.0)
        self.slept: list[float] = []
        self.wakes = Event()
        self.namespaces = Namespaces(self.table, empty_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.wakes.wait()

    def list(self, *names: str) -> None:
        self.table.replace([Entry(name, name, (name,)) for name in names])

    @contextmanager
    def waiting(self, name: str = "shop") -> Iterator[gevent.Greenlet]:
        waiter = gevent.spawn(self.namespaces.wait_for, name)
        wait_until(lambda: self.feed.running)
        yield waiter
        waiter.kill()


def test_the_list_is_asked_for_while_somebody_waits() -> None:
    world = World()
    with world.waiting() as one, world.waiting("other") as other:
        one.kill()
        assert world.feed.running
        other.kill()
        assert not world.feed.running


def test_a_namespace_that_exists_is_waited_for_no_longer() -> None:
    world = World()
    with world.waiting() as waiter:
        world.list("default")
        gevent.idle()
        assert not waiter.dead
        world.list("default", "shop")
        assert waiter.get(timeout=WAIT_S) is True


def test_one_that_is_known_not_to_exist_is_waited_for_beyond_the_pause() -> None:
    world = World(empty_s=0.2)
    with world.waiting() as waiter:
        world.list("default")
        with pytest.raises(gevent.Timeout):
            waiter.get(timeout=0.4)


def test_while_nothing_is_known_the_wait_is_a_pause() -> None:
    world = World(empty_s=0.001)
    assert world.namespaces.wait_for("shop") is False
    assert not world.feed.running


def test_what_exists_is_known_only_while_the_list_is_followed() -> None:
    world = World()
    assert world.namespaces.have("shop") is None
    with world.waiting():
        assert world.namespaces.have("shop") is None
        world.list("default")
        assert world.namespaces.have("shop") is False
        assert world.namespaces.have("default") is True
    assert world.namespaces.have("shop") is None


def test_the_more_wait_the_longer_are_the_pauses() -> None:
    world = World()
    pausing = [gevent.spawn(world.namespaces.pause, 1.0) for _ in range(100)]
    wait_until(lambda: len(world.slept) == 100)
    assert (min(world.slept), max(world.slept)) == (1.0, pytest.approx(100 * SPACING_S))
    world.wakes.set()
    gevent.joinall(pausing)
    world.namespaces.pause(1.0)
    assert world.slept[-1] == 1.0


def test_a_claim_of_the_operator_is_never_doubted() -> None:
    claim = Claim("shop")
    slept: list[float] = []
    assert claim.list_in_turn(lambda: "listed") == "listed"
    assert claim.is_proven(is_empty=True)
    claim.pause(7, slept.append)
    assert slept == [7]


def test_a_claim_is_proven_by_an_object_for_good() -> None:
    world = World()
    claim = Claim("shop", world.namespaces)
    assert claim.is_proven(is_empty=False)
    assert claim.is_proven(is_empty=True)
    slept: list[float] = []
    claim.pause(7, slept.append)
    assert (slept, world.slept) == ([7], [])


def test_a_claim_that_is_doubted_pauses_with_the_others() -> None:
    world = World()
    world.wakes.set()
    Claim("shop", world.namespaces).pause(7, pytest.fail)
    assert world.slept == [7]


def test_a_claim_that_is_found_empty_waits_for_the_list_of_namespaces() -> None:
    world = World()
    claim = Claim("shop", world.namespaces)
    assert not claim.is_proven(is_empty=True)
    waiting = gevent.spawn(claim.pause, 7, pytest.fail)
    wait_until(lambda: world.feed.running)
    world.list("shop")
    waiting.get(timeout=WAIT_S)
    assert claim.is_proven(is_empty=True)
    assert world.slept == []


def test_what_does_not_exist_is_not_listed() -> None:
    world = World()
    with world.waiting("other"):
        world.list("default")
        assert Claim("shop", world.namespaces).list_in_turn(pytest.fail) is None
        assert Claim("default", world.namespaces).list_in_turn(lambda: "listed") == "listed"


def test_few_are_listed_at_once_and_the_others_not_at_all_if_they_prove_to_be_lacking() -> None:
    world = World()
    lists: list[Callable[[], None]] = []

    def list_all() -> str:
        listed = Event()
        lists.append(listed.set)
        listed.wait()
        return "listed"

    claims = [Claim(f"made-up-{number}", world.namespaces) for number in range(50)]
    asking = [gevent.spawn(claim.list_in_turn, list_all) for claim in claims]
    wait_until(lambda: len(lists) == MAX_LISTS)
    with world.waiting("other"):
        world.list("default")
        for end in lists:
            end()
        answers = [each.get(timeout=WAIT_S) for each in asking]
    assert answers == ["listed"] * MAX_LISTS + [None] * (50 - MAX_LISTS)
