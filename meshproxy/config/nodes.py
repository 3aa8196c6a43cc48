"""The nodes of a configuration text: scalars, mappings and sequences, with their places.

Follows linkerd: config/.../Parser.scala on what a document is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from meshproxy.config.places import Mark, TextRange


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: its text, and the value of the text (None, bool, int, float or str)."""

    mark: Mark
    text: str
    value: bool | int | float | str | None
    span: TextRange | None = field(default=None, compare=False)

    def at(self, offset: int) -> Mark:
        """Returns the place of the character *offset* of the text, or of the scalar if unknown."""
        return self.mark if self.span is None else self.span.at(offset)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of values."""

    mark: Mark
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values; `marks` has the place of each key."""

    mark: Mark
    items: dict[str, "Node"] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def is_unset(node: Node | None) -> bool:
    """Returns True for absent, null and the empty string: the key counts as unset."""
    return node is None or (isinstance(node, Scalar) and node.value in (None, ""))


def locate(root: Node, path: str) -> Mark:
    """Returns the place of *path* (`routers[0].servers[1].port`) or of its nearest parent."""
    return _walk(root, path)[0]


def find(root: Node, path: str) -> Node:
    """Returns the node at *path*, or its nearest parent that is written."""
    return _walk(root, path)[1]


def _walk(root: Node, path: str) -> tuple[Mark, Node]:
    mark, node = root.mark, root
    for name, index in _steps(path):
        if isinstance(node, Mapping) and name in node.items:
            mark, node = node.marks[name], node.items[name]
        elif isinstance(node, Sequence) and index is not None and index < len(node.items):
            node = node.items[index]
            mark = node.mark
        else:
            break
    return mark, node


def _steps(path: str) -> Iterator[tuple[str, int | None]]:
    for step in _STEP.finditer(path):
        yield step[1] or "", int(step[2]) if step[2] else None


def join(path: str, name: str) -> str:
    """Returns the path of the key *name* in the mapping at *path*."""
    return f"{path}.{name}" if path else name
