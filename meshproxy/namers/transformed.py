"""A namer with transformers, which change only its bound results.

linkerd: namer/core/.../TransformerConfig.scala; names bound to further paths are not changed.
"""

from collections.abc import Sequence

from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Lookup, Namer, Transformer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var


class TransformedNamer:
    """Returns the results of *namer*, with every bound tree changed by *transformers* in order."""

    def __init__(self, namer: Namer, transformers: Sequence[Transformer]) -> None:
        self._namer = namer
        self._transformers = tuple(transformers)

    @property
    def prefix(self) -> Path:
        """The namer's own prefix."""
        return self._namer.prefix

    def lookup(self, path: Path) -> Lookup:
        """Returns the changed tree for *path*."""
        found = self._namer.lookup(path)
        for transformer in self._transformers:
            found = _apply(transformer, found)
        return found


def _apply(transformer: Transformer, found: Lookup) -> Lookup:
    if not isinstance(found, Var):
        return _change(transformer, found)

    def change(state: State[NameTree[Path | Bound]]) -> Activity[NameTree[Path | Bound]]:
        if not isinstance(state, Ok):
            return Var(state)
        changed = _change(transformer, state.value)
        return changed if isinstance(changed, Var) else Var(Ok(changed))

    return found.flat_map(change)


def _change(transformer: Transformer, tree: NameTree[Path | Bound]) -> Lookup:
    leaves: list[Path | Bound] = []
    tree.map(leaves.append)
    if any(isinstance(leaf, Path) for leaf in leaves):
        return tree
    return transformer.transform(tree)  # type: ignore[arg-type, return-value] # all are bound
