"""Requests in flight at an endpoint, with every change reported to its balancer.

For kinds that use the load of all endpoints together, or keep endpoints ordered by it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from meshproxy.balancers.balancer import Node
from meshproxy.ewma import LeastLoaded


class Follower(Protocol):
    """Receives the changes of a load."""

    def changed(self, load: "FollowedLoad", by: int) -> None:
        """Called when a request began (*by* is 1) or ended (-1), after `pending` has changed."""
        ...


class _Nobody:
    def changed(self, load: "FollowedLoad", by: int) -> None:
        """Does nothing: the endpoint has left its balancer and finishes its requests."""


NOBODY: Final = _Nobody()


class FollowedLoad(LeastLoaded):
    """Load is the number of requests in flight, and changes are reported to `follower`."""

    __slots__ = ("follower", "place")

    def __init__(self) -> None:
        super().__init__()
        self.follower: Follower = NOBODY
        self.place = 0
        """Used by the follower: its index for this load."""

    def begin(self) -> None:
        """Counts a request in."""
        self.pending += 1
        self.follower.changed(self, 1)

    def finish(self) -> None:
        """Counts a request out."""
        self.pending -= 1
        self.follower.changed(self, -1)


class FollowedNode(Node, Protocol):
    """An endpoint with a followed load."""

    @property
    def load(self) -> FollowedLoad:
        """Its load."""
        ...


def follow(follower: Follower, before: Iterable[FollowedNode], now: Iterable[FollowedNode]) -> None:
    """Reports the loads of *now*, instead of those of *before*, to *follower*.

    A load that has another follower by now stays with that one.
    """
    for node in before:
        if node.load.follower is follower:
            node.load.follower = NOBODY
    for node in now:
        node.load.follower = follower
