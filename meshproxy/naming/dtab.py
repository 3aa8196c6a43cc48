"""Delegation tables: rules that rewrite the beginning of a path (finagle: DtabBase.scala)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from meshproxy.naming.nametree import NEG, Alt, NameTree
from meshproxy.naming.parser import Parser
from meshproxy.naming.path import Path, show_segment

_USUAL_SHAPES: Final = 32


class Prefix(tuple[bytes | None, ...]):
    """The left side of an entry: segments that must be equal, or None for any segment."""

    __slots__ = ()

    def show(self) -> str:
        """Returns the canonical text."""
        return "/" + "/".join(["*" if elem is None else show_segment(elem) for elem in self])


@dataclass(frozen=True, slots=True)
class Dentry:
    """A rule: names under *prefix* stand for *dst*, with the rest appended to each leaf."""

    prefix: Prefix
    dst: NameTree[Path]
    by_request: bool = field(default=False, compare=False, repr=False)
    """True if it came with a request rather than from the operator."""
    place: str = field(default="", compare=False, repr=False)
    """Where an operator wrote it, as `file:line:column`; empty if unknown."""

    def show(self) -> str:
        """Returns the canonical text."""
        return f"{self.prefix.show()}=>{self.dst.show()}"


class _Shape(NamedTuple):
    """Entries whose prefixes have fixed segments at the same positions, by these segments."""

    length: int
    part_of: Callable[[Sequence[bytes | None]], object]
    positions: dict[object, list[int]]


def _shape(length: int, fixed: tuple[int, ...]) -> _Shape:
    whole = slice(0, len(fixed))
    part_of = itemgetter(whole) if len(fixed) in {0, length} else itemgetter(*fixed)
    return _Shape(length, part_of, {})


class _Layer(tuple[Dentry, ...]):  # noqa: SLOT001 - its index is cached in its dict
    """Rules that were written as one text, and their index."""

    def matching(self, path: Path) -> list[Dentry]:
        """Returns the rules that apply to *path*, later ones first."""
        found: list[int] = []
        for shape in self.shapes:
            if shape.length <= len(path):
                found += shape.positions.get(shape.part_of(path), ())
        found.sort(reverse=True)
        return [self[at] for at in found]

    @cached_property
    def shapes(self) -> tuple[_Shape, ...]:
        """The index: prefixes by their shape."""
        shapes: dict[object, _Shape] = {}
        for at, entry in enumerate(self):
            prefix = entry.prefix
            fixed = tuple([n for n, elem in enumerate(prefix) if elem is not None])
            shape = shapes.get((len(prefix), fixed))
            if shape is None:
                shape = shapes[len(prefix), fixed] = _shape(len(prefix), fixed)
            shape.positions.setdefault(shape.part_of(prefix), []).append(at)
        return tuple(shapes.values())


class Dtab:
    """Rules in file order; later ones are preferred.

    A sum of tables shares them and their indexes, so it costs the same whatever their size.
    """

    __slots__ = ("_layers",)

    def __init__(self, entries: Iterable[Dentry] = ()) -> None:
        layer = _Layer(entries)
        self._layers: tuple[_Layer, ...] = (layer,) if layer else ()

    @classmethod
    def parse(cls, text: str, *, limit: int | None = None) -> "Dtab":
        """Reads a table such as `/svc => /srv ; /srv => /#/io.l5d.fs`.

        Raises:
            ParseError: the text is not a table, or has more than *limit* entries.
        """
        parser = Parser(text, Path)
        entries: list[Dentry] = []
        while True:
            parser.skip()
            if not parser.at_end:
                if len(entries) == limit:
                    parser.too_much(f"{limit} entries")
                entries.append(read_entry(parser))
                parser.skip()
            if not parser.maybe(";"):
                break
        parser.end()
        return cls(entries)

    def matching(self, path: Path) -> list[Dentry]:
        """Returns the entries that apply to *path*, preferred ones first."""
        if len(self._layers) == 1:
            return self._layers[0].matching(path)
        return [entry for layer in reversed(self._layers) for entry in layer.matching(path)]

    def lookup(self, path: Path) -> NameTree[Path]:
        """Takes one step: returns the destinations with the rest of *path* on every leaf."""
        trees = [_with_rest(entry, path) for entry in self.matching(path)]
        if not trees:
            return NEG
        return trees[0] if len(trees) == 1 else Alt(tuple(trees))

    @property
    def surcharge(self) -> int:
        """The number of nodes that a lookup counts as, for prefixes of many shapes."""
        return sum(len(layer.shapes) for layer in self._layers) // _USUAL_SHAPES

    def show(self) -> str:
        """Returns the canonical text."""
        return ";".join([entry.show() for entry in self])

    def __add__(self, other: "Dtab") -> "Dtab":
        total = Dtab()
        total._layers = self._layers + other._layers
        return total

    def __iter__(self) -> Iterator[Dentry]:
        return chain.from_iterable(self._layers)

    def __len__(self) -> int:
        return sum(map(len, self._layers))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dtab):
            return NotImplemented
        return self._layers == other._layers or tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Dtab({self.show()!r})"


def read_entry(parser: Parser[Path]) -> Dentry:
    """Reads one entry. Raises ParseError."""
    prefix = Prefix(parser.prefix())
    parser.skip()
    parser.eat("=")
    parser.eat(">")
    return Dentry(prefix, parser.tree())


def _with_rest(entry: Dentry, path: Path) -> NameTree[Path]:
    rest = path.drop(len(entry.prefix))
    return entry.dst.map(lambda leaf: leaf + rest)
