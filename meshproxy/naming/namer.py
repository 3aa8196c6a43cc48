"""The interfaces of naming: namers, interpreters and transformers (finagle: Namer.scala)."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity

Lookup: TypeAlias = NameTree[Path | Bound] | Activity[NameTree[Path | Bound]]
"""The result of a namer: a tree that never changes, or one that may."""

BoundTree: TypeAlias = NameTree[Bound]
Transformed: TypeAlias = BoundTree | Activity[BoundTree]
"""The result of a transformer: a bound tree that never changes, or one that may."""


class Namer(Protocol):
    """Looks up names in a service discovery."""

    @property
    def prefix(self) -> Path:
        """The full prefix of its names, such as `/#/io.l5d.fs`."""
        ...

    def lookup(self, path: Path) -> Lookup:
        """Returns the tree for *path*, which is the part after the prefix.

        Paths in the tree are looked up from the start. Negative lets other namers try.
        """
        ...


class Interpreter(Protocol):
    """Turns a logical name into replica sets."""

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows *path* through *dtab* to its end; the resulting tree has no alternations left."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """An interpreter that can also explain how a name is resolved (linkerd: Delegator.scala)."""

    def delegate(self, dtab: Dtab, path: Path) -> Activity[Delegation]:
        """Returns every step from *path* through *dtab* to its ends."""
        ...


@runtime_checkable
class Described(Protocol):
    """A namer or an interpreter that can show its state."""

    def describe(self) -> Mapping[str, Any]:
        """Returns what it knows of the names in use, and how it learned it, as JSON."""
        ...


@runtime_checkable
class Enumerating(Protocol):
    """A namer that can list its names (linkerd: EnumeratingNamer.scala)."""

    def names(self) -> Iterable[Path]:
        """Returns the names, with the namer's prefix, that are bound to something now."""
        ...


class Transformer(Protocol):
    """Changes the addresses of bound names but keeps the shape of their tree."""

    @property
    def prefix(self) -> Path:
        """The prefix that it adds to every id."""
        ...

    def transform(self, tree: BoundTree) -> Transformed:
        """Returns *tree* with other addresses; a tree without bound names is returned at once."""
        ...
