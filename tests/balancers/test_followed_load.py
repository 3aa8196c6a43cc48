"""Who is told of a load's changes, and who is not any more."""

from meshproxy.balancers.followed_load import FollowedLoad, follow
from tests.kit.nodes import Node


class Told:
    def __init__(self) -> None:
        self.changes: list[tuple[int, int]] = []

    def changed(self, load: FollowedLoad, by: int) -> None:
        self.changes.append((load.pending, by))


def test_each_start_and_end_is_told_after_it_is_counted() -> None:
    told, node = Told(), Node()
    follow(told, (), (node,))
    node.load.begin()
    node.load.begin()
    node.load.finish()
    assert told.changes == [(1, 1), (2, 1), (1, -1)]
    assert node.load.value() == 1


def test_one_that_left_is_not_told_of() -> None:
    told, stays, leaves = Told(), Node(), Node()
    follow(told, (), (stays, leaves))
    leaves.load.begin()
    follow(told, (stays, leaves), (stays,))
    leaves.load.finish()
    assert told.changes == [(1, 1)]
    assert leaves.load.pending == 0
    stays.load.begin()
    assert len(told.changes) == 2


def test_one_that_moved_over_stays_with_its_new_follower() -> None:
    old, new, node = Told(), Told(), Node()
    follow(old, (), (node,))
    follow(new, (), (node,))
    follow(old, (node,), ())
    node.load.begin()
    assert (old.changes, new.changes) == ([], [(1, 1)])
