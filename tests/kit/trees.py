"""What a tree leads to, and its simplest form, as Finagle says (NameTree.scala: eval, simplify).

The product draws from the trees that interpreters bind; this tells what a draw can come to.
"""

from typing import Any, TypeAlias, TypeVar

from meshproxy.naming.nametree import NEG, Alt, Fail, Leaf, NameTree, Neg, Union, Weighted

T = TypeVar("T")
Evaluated: TypeAlias = frozenset[T] | Neg | Fail


def evaluate(tree: NameTree[T]) -> Evaluated[T]:
    """Return the leaves that *tree* leads to, none for an empty one; Neg or Fail if it does not."""
    match tree:
        case Neg() | Fail():
            return tree
        case Leaf(value):
            return frozenset((value,))
        case Alt(trees):
            found = map(evaluate, trees)
            return next((one for one in found if not isinstance(one, Neg)), NEG)
        case Union((lone,)):
            return evaluate(lone.tree)
        case Union(weighted):
            every = [evaluate(member.tree) for member in weighted]
            leaves = [one for one in every if isinstance(one, frozenset)]
            return frozenset().union(*leaves) if leaves else NEG
        case _:
            return frozenset()


def simplify(tree: NameTree[T]) -> NameTree[T]:
    """Return *tree* without what no draw can come to, and without members that are alone."""
    match tree:
        case Alt(trees):
            return _alone([one for one in _up_to_a_failure(trees) if not isinstance(one, Neg)], Alt)
        case Union((lone,)):
            return simplify(lone.tree)
        case Union(weighted):
            simple = [Weighted(weight, simplify(below)) for weight, below in weighted]
            kept = [one for one in simple if not isinstance(one.tree, Neg | Fail)]
            return kept[0].tree if len(kept) == 1 else _alone(kept, Union)
        case _:
            return tree


def _up_to_a_failure(trees: tuple[NameTree[T], ...]) -> list[NameTree[T]]:
    simple = [simplify(tree) for tree in trees]
    ends = next((at for at, one in enumerate(simple, 1) if isinstance(one, Fail)), len(simple))
    return simple[:ends]


def _alone(kept: list[Any], made_of: Any) -> NameTree[Any]:
    """Return a tree of the members *kept*: NEG for none, a single one itself."""
    if not kept:
        return NEG
    made: NameTree[Any] = kept[0] if len(kept) == 1 else made_of(tuple(kept))
    return made
