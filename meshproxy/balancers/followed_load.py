"""Requests in flight at an endpoint, each change of which is told to the balancer it belongs to.

For kinds that go by the load of all endpoints together, or keep endpoints in the order of it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from meshproxy.balancers.balancer import Node
from meshproxy.ewma import LeastLoaded


class Follower(Protocol):
    """Whom a load tells of its changes."""

    def changed(self, load: "FollowedLoad", by: int) -> None:
        """A request began, *by* is 1, or ended, *by* is -1; `pending` says so already."""
        ...


class _Nobody:
    def changed(self, load: "FollowedLoad", by: int) -> None:
        """An endpoint that left its balancer finishes what runs."""


NOBODY: Final = _Nobody()


class FollowedLoad(LeastLoaded):
    """Load is the number of requests in flight, and somebody follows it."""

    __slots__ = ("follower", "place")

    def __init__(self) -> None:
        super().__init__()
        self.follower: Follower = NOBODY
        self.place = 0
        """The follower's own: where it keeps this load."""

    def begin(self) -> float:
        """Count a request in."""
        self.pending += 1
        self.follower.changed(self, 1)
        return 0.0

    def finish(self) -> None:
        """Count a request out."""
        self.pending -= 1
        self.follower.changed(self, -1)


class FollowedNode(Node, Protocol):
    """An endpoint whose load is followed."""

    @property
    def load(self) -> FollowedLoad:
        """What it carries."""
        ...


def follow(follower: Follower, before: Iterable[FollowedNode], now: Iterable[FollowedNode]) -> None:
    """Have *follower* told of the loads of *now* instead of *before*.

    One that went over to another follower in the meantime stays with that one.
    """
    for node in before:
        if node.load.follower is follower:
            node.load.follower = NOBODY
    for node in now:
        node.load.follower = follower
