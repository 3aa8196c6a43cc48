"""Finds prefixes by the names that begin with them, without a look at all the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from meshproxy.naming.nameset import NameSet

T = TypeVar("T")


@dataclass(slots=True)
class _Branch(Generic[T]):
    """The items of one prefix, and the steps to longer ones; None is that of any segment."""

    items: list[T] = field(default_factory=list)
    steps: "dict[bytes | None, _Branch[T]]" = field(default_factory=dict)

    def by(self, *segments: bytes | None) -> "Iterator[_Branch[T]]":
        """Yields where the steps of *segments* lead."""
        yield from (self.steps[one] for one in dict.fromkeys(segments) if one in self.steps)

    def below(self) -> Iterator[T]:
        """Yields all items from here on."""
        nodes = [self]
        while nodes:
            node = nodes.pop()
            yield from node.items
            nodes += node.steps.values()


class PrefixIndex(Generic[T]):
    """Items by prefix."""

    def __init__(self) -> None:
        self._root: _Branch[T] = _Branch()

    def add(self, prefix: Sequence[bytes | None], item: T) -> None:
        """Keeps *item* under *prefix*."""
        node = self._root
        for segment in prefix:
            node = node.steps.setdefault(segment, _Branch())
        node.items.append(item)

    def meeting(self, names: NameSet) -> Iterator[T]:
        """Yields the items under whose prefix some of *names* are."""
        nodes = [self._root]
        for segment in names.segments:
            for node in nodes:
                yield from node.items
            nodes = [
                step
                for node in nodes
                for step in (node.steps.values() if segment is None else node.by(segment, None))
            ]
        for node in nodes:
            yield from node.below() if names.is_open else node.items

    def covering(self, names: NameSet) -> Iterator[T]:
        """Yields the items under whose prefix all of *names* are."""
        nodes = [self._root]
        for segment in names.segments:
            for node in nodes:
                yield from node.items
            nodes = [step for node in nodes for step in node.by(segment, None)]
        for node in nodes:
            yield from node.items
