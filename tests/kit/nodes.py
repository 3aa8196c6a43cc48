"""Endpoints that balancers choose among, without connections: status, load and weight as told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from meshproxy.balancers.followed_load import FollowedLoad
from meshproxy.metrics.instruments import Counter, Gauge
from meshproxy.metrics.tree import Tree


@dataclass(eq=False)
class Node:
    """One endpoint; *pending* is what it carries at first."""

    name: str = "a"
    pending: int = 0
    is_open: bool = True
    is_closed: bool = False
    weight: float = 1.0
    idle: int = 0
    """Connections that wait for a request."""
    load: FollowedLoad = field(default_factory=FollowedLoad)

    def __post_init__(self) -> None:
        self.load.pending = self.pending

    def close_idle(self) -> int:
        """Close the idle connections."""
        closed, self.idle = self.idle, 0
        return closed

    @contextmanager
    def carrying(self, requests: int = 1) -> Iterator[None]:
        """Have *requests* in flight meanwhile."""
        for _ in range(requests):
            self.load.begin()
        yield
        for _ in range(requests):
            self.load.finish()


def named(names: str) -> list[Node]:
    """Return a node for each letter."""
    return [Node(name) for name in names]


def draws(*units: float) -> Callable[[], float]:
    """Return a source of *units*, which ends with them."""
    return iter(units).__next__


def numbers(tree: Tree) -> dict[str, float]:
    """Return every counter and gauge of *tree* by its name."""
    found = {}
    for scope, instrument in tree.walk():
        if isinstance(instrument, Counter):
            found["/".join(scope)] = float(instrument.value)
        elif isinstance(instrument, Gauge):
            found["/".join(scope)] = instrument.read()
    return found
