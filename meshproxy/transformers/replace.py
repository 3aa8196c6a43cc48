"""io.l5d.replace and io.l5d.const: another name in place of what was bound.

(linkerd: namer/core/.../{Replace,Const}TransformerInitializer.scala)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, assert_never

from meshproxy.config.bases import NamerDeps, TransformerConfig
from meshproxy.config.decode import key
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.namer import BoundTree, Transformed, Transformer
from meshproxy.naming.nametree import Alt, Empty, Fail, Leaf, Neg, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State


@dataclass(frozen=True, slots=True)
class Replacing:
    """Puts the binding of another name in place of every leaf, or of the whole tree."""

    prefix: Path
    other: Activity[BoundTree]
    whole: bool

    def transform(self, tree: BoundTree) -> Transformed:
        """Returns the changed tree, which follows the binding of the other name."""
        if not self.whole and not _has_leaf(tree):
            return tree
        return self.other.map(lambda state: self._with(tree, state))

    def _with(self, tree: BoundTree, state: State[BoundTree]) -> State[BoundTree]:
        if not isinstance(state, Ok):
            return state
        other = state.value.map(
            lambda bound: replace(bound, id=self.prefix + bound.id, chosen_by=ChosenBy.NAMER)
        )
        return Ok(other if self.whole else _grafted(tree, other))


def _grafted(tree: BoundTree, other: BoundTree) -> BoundTree:
    match tree:
        case Leaf():
            return other
        case Alt(trees):
            return Alt(tuple(_grafted(one, other) for one in trees))
        case Union(members):
            return Union(tuple(Weighted(at, _grafted(one, other)) for at, one in members))
        case Neg() | Fail() | Empty():
            return tree
    assert_never(tree)


def _has_leaf(tree: BoundTree) -> bool:
    match tree:
        case Leaf():
            return True
        case Alt(trees):
            return any(map(_has_leaf, trees))
        case Union(members):
            return any(_has_leaf(member.tree) for member in members)
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceConfig(TransformerConfig):
    """Replaces every bound name with another; names that do not exist stay negative."""

    kind: ClassVar[str] = "io.l5d.replace"
    path: Path = key(doc="The other name.")

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`."""
        del environ
        return Path.of("%") + (self.prefix or Path.of(self.kind) + self.path)

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer."""
        return Replacing(deps.prefix, deps.bind(self.path), whole=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstConfig(TransformerConfig):
    """Replaces every result with another name, also the result that a name does not exist."""

    kind: ClassVar[str] = "io.l5d.const"
    path: Path = key(doc="The other name.")

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`."""
        del environ
        return Path.of("%") + (self.prefix or Path.of(self.kind) + self.path)

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer."""
        return Replacing(deps.prefix, deps.bind(self.path), whole=True)
