"""Which children of a node are members, for each use of ZooKeeper; independent of kazoo."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

Segments: TypeAlias = tuple[str, ...]
"""The names of the nodes from the root down."""


@dataclass(frozen=True, slots=True)
class Membership(Generic[T]):
    """Which children of a node are members, and how their data is read."""

    choose: Callable[[Segments, Sequence[str]], Collection[str]]
    """Called with the node and the names of its children."""
    read: Callable[[str, bytes], T | None]
    """Called with the name and the data of a member; returns None for one that does not count."""


class Found(NamedTuple, Generic[T]):
    """A node that exists, and its members as they were read."""

    name: str
    """Its last segment; empty for the root."""
    members: Mapping[str, T]
