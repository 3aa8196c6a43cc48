"""The two seams of naming: who knows names, and who binds them (finagle: Namer.scala)."""

from typing import Protocol, TypeAlias

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity

Lookup: TypeAlias = NameTree[Path | Bound] | Activity[NameTree[Path | Bound]]
"""What a namer answers: a tree that never changes, or one that lives."""

BoundTree: TypeAlias = NameTree[Bound]
Transformed: TypeAlias = BoundTree | Activity[BoundTree]
"""What a transformer makes of a bound tree, fixed or alive."""


class Namer(Protocol):
    """What one service discovery knows."""

    @property
    def prefix(self) -> Path:
        """The full prefix of its names, `/#/io.l5d.fs`."""
        ...

    def lookup(self, path: Path) -> Lookup:
        """Answer for *path*, which is what follows the prefix.

        Further paths in the answer are looked up from the start. Negative lets others answer.
        """
        ...


class Interpreter(Protocol):
    """Turns a logical name into replica sets."""

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follow *path* through *dtab* to its end; the result has no alternations left."""
        ...


class Transformer(Protocol):
    """Changes the addresses of bound names, keeping the shape of their tree."""

    @property
    def prefix(self) -> Path:
        """What it puts in front of every id."""
        ...

    def transform(self, tree: BoundTree) -> Transformed:
        """Return *tree* with other addresses; a tree without bound names comes back at once."""
        ...
