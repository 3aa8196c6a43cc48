"""The two seams of naming: who knows names, and who binds them (finagle: Namer.scala)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dentry, Dtab
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


class Step(NamedTuple):
    """A name on the way to its end, and the rule that led to it, if it was a rule."""

    name: Path
    entry: Dentry | None


Route: TypeAlias = tuple[Step, ...]


@runtime_checkable
class Explainer(Protocol):
    """An interpreter that can also tell how a name comes to its end (linkerd: Delegator.scala)."""

    def route(self, dtab: Dtab, path: Path, bound_id: Path) -> Route:
        """The way from *path* to *bound_id* as things are now; empty when there is none."""
        ...


@runtime_checkable
class Described(Protocol):
    """A namer or an interpreter that has a state to show to people."""

    def describe(self) -> Mapping[str, Any]:
        """What it knows of what is in use, and how it came to know that; as JSON."""
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
