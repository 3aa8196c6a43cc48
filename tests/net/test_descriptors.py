"""Who may have another descriptor, and what is let go for it."""

import os
import resource
from dataclasses import dataclass

import pytest

from meshproxy.net.descriptors import (
    ADMIN,
    CLIENTS,
    ENDPOINTS,
    Spares,
    allowed,
    is_beyond,
    raise_allowed,
)
from tests.kit.clock import FakeClock
from tests.kit.scarcity import few_descriptors


@dataclass(eq=False)
class Holder:
    """Has spare descriptors."""

    spare: int

    def let_go(self, most: int) -> int:
        gone = min(most, self.spare)
        self.spare -= gone
        return gone


@pytest.mark.parametrize(("share", "within"), [(CLIENTS, 239), (ENDPOINTS, 269), (ADMIN, 284)])
def test_a_share_ends_at_a_number(share: float, within: int) -> None:
    with few_descriptors(0.1):
        assert [is_beyond(share, number) for number in (within, within + 1)] == [False, True]


def test_the_number_of_a_new_descriptor_tells_how_many_are_open() -> None:
    with few_descriptors(CLIENTS):
        new = os.open(os.devnull, os.O_RDONLY)
        os.close(new)
        assert (is_beyond(CLIENTS, new), is_beyond(ENDPOINTS, new)) == (True, False)


def test_without_a_limit_nothing_is_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    assert (allowed(), is_beyond(CLIENTS, 10**9)) == (None, False)


def test_the_soft_limit_becomes_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with few_descriptors(0.1):
        assert raise_allowed() == (300, hard)
        assert raise_allowed() == (hard, hard)


def test_a_system_that_says_no_leaves_the_limit_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    before, after = raise_allowed()
    assert before == after


def test_room_is_made_by_a_hundredth_of_all_at_once() -> None:
    clock = FakeClock()
    spares, one, two = Spares(clock), Holder(2), Holder(4)
    for holder in (one, two):
        spares.add(holder)
    with few_descriptors(0.1):
        assert spares.make_room()
        assert one.spare + two.spare == 3
        assert [spares.make_room(), spares.make_room()] == [True, False]
    assert one.spare + two.spare == 0


def test_after_a_look_for_nothing_there_is_none_for_a_while() -> None:
    clock = FakeClock()
    spares, holder = Spares(clock), Holder(0)
    spares.add(holder)
    assert not spares.make_room()
    holder.spare = 1
    assert not spares.make_room()
    clock.advance(0.1)
    assert spares.make_room()


def test_who_is_gone_is_not_asked() -> None:
    spares = Spares(FakeClock())
    spares.add(Holder(1))
    assert not spares.make_room()
