"""The name tree: what a name stands for, by preference and weight.

finagle: NameTree.scala (show) and naming/NameTreeFactory.scala (the draw).
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)


class Showable(Protocol):
    """Anything with a canonical text."""

    def show(self) -> str:
        """Returns the canonical text."""
        ...


@dataclass(frozen=True, slots=True)
class Neg:
    """`~`: the name does not exist; an alternation goes on to its next member."""

    def map(self, _fn: Callable[[Any], Any]) -> "Neg":
        """Returns the tree itself: it has no leaves."""
        return self

    def show(self) -> str:
        """Returns the canonical text."""
        return "~"


@dataclass(frozen=True, slots=True)
class Fail:
    """`!`: the name must not be used; an alternation stops here."""

    def map(self, _fn: Callable[[Any], Any]) -> "Fail":
        """Returns the tree itself: it has no leaves."""
        return self

    def show(self) -> str:
        """Returns the canonical text."""
        return "!"


@dataclass(frozen=True, slots=True)
class Empty:
    """`$`: the name exists and has no endpoints."""

    def map(self, _fn: Callable[[Any], Any]) -> "Empty":
        """Returns the tree itself: it has no leaves."""
        return self

    def show(self) -> str:
        """Returns the canonical text."""
        return "$"


@dataclass(frozen=True, slots=True)
class Leaf(Generic[T_co]):
    """One value."""

    value: T_co

    def map(self, fn: Callable[[T_co], U]) -> "Leaf[U]":
        """Replaces the value with *fn* of it."""
        return Leaf(fn(self.value))

    def show(self: "Leaf[Showable]") -> str:
        """Returns the canonical text."""
        return self.value.show()


@dataclass(frozen=True, slots=True)
class Alt(Generic[T_co]):
    """`a | b`: the first member that is not negative."""

    trees: "tuple[NameTree[T_co], ...]"

    def map(self, fn: Callable[[T_co], U]) -> "Alt[U]":
        """Replaces the value of every leaf with *fn* of it."""
        return Alt(tuple([tree.map(fn) for tree in self.trees]))

    def show(self: "Alt[Showable]") -> str:
        """Returns the canonical text."""
        return " | ".join([_parenthesised(tree, Alt) for tree in self.trees])


class Weighted(NamedTuple, Generic[T_co]):
    """A member of a union and its share relative to the others."""

    weight: float
    tree: "NameTree[T_co]"


@dataclass(frozen=True, slots=True)
class Union(Generic[T_co]):
    """`9*a & 1*b`: all members; each request draws one by weight."""

    weighted: tuple[Weighted[T_co], ...]

    def map(self, fn: Callable[[T_co], U]) -> "Union[U]":
        """Replaces the value of every leaf with *fn* of it."""
        return Union(tuple([Weighted(weight, tree.map(fn)) for weight, tree in self.weighted]))

    def show(self: "Union[Showable]") -> str:
        """Returns the canonical text, with weights cut to two decimals."""
        return " & ".join(
            [_show_weight(w) + _parenthesised(t, Alt | Union) for w, t in self.weighted]
        )


NameTree: TypeAlias = Leaf[T] | Alt[T] | Union[T] | Neg | Fail | Empty

NEG: Final = Neg()
FAIL: Final = Fail()
EMPTY: Final = Empty()

_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=400, rounding=ROUND_HALF_UP)


def choose(tree: NameTree[T], draw: Callable[[], float]) -> T | None:
    """Returns one leaf of a bound tree, drawn by weight; None if there is none.

    *draw* returns numbers from 0 up to but not including 1; each nested union on the way takes one.
    If all weights are zero, they count as equal.
    """
    while isinstance(tree, Union) and tree.weighted:
        tree = _draw_member(tree, draw())
    return tree.value if isinstance(tree, Leaf) else None


def _draw_member(union: Union[T], drawn: float) -> NameTree[T]:
    members = union.weighted
    total = sum(member.weight for member in members)
    if total <= 0.0:
        return members[int(drawn * len(members))].tree
    left = drawn * total
    chosen = members[0]
    for member in members:
        if member.weight > 0.0:
            chosen = member
            left -= member.weight
            if left < 0.0:
                break
    return chosen.tree


def _parenthesised(tree: NameTree[Showable], kinds: Any) -> str:
    return f"({tree.show()})" if isinstance(tree, kinds) else tree.show()


def _show_weight(weight: float) -> str:
    if weight == 1.0:
        return ""
    return f"{Decimal(repr(weight)).quantize(_CENT, context=_EXACT):f}*"
