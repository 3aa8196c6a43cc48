"""Explains how a name is resolved to one of its replica sets; not used for routing.

linkerd: namer/core/.../DelegateTree.scala (`find`). Like a binding, but it keeps the rules that it
applies, and uses the present answers without following them.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, TypeVar

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Lookup, Route, Step
from meshproxy.naming.nametree import NEG, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Ok, Var

T = TypeVar("T")
MAX_DEPTH: Final = 100
MAX_NODES: Final = 1000

Namers: TypeAlias = Callable[[Path], Iterator[Lookup]]
"""Yields the answer of each namer that handles a name."""


class Search:
    """One depth-first search, preferred rules first; bounded like a binding."""

    def __init__(self, dtab: Dtab, namers: Namers, wanted: Path) -> None:
        self._dtab = dtab
        self._namers = namers
        self._wanted = wanted
        self._nodes = 0

    def run(self, path: Path) -> Route:
        """Returns the steps from *path* to the wanted bound name; none if it is not found."""
        return self._from(Step(path, None), 0) or ()

    def _from(self, step: Step, depth: int) -> Route | None:
        """Returns the steps from *step* on, which *depth* lookups led to."""
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            return None
        name = step.name
        entries = self._dtab.matching(name)
        for entry in entries:
            rest = name.drop(len(entry.prefix))
            for leaf in _leaves(entry.dst):
                found = self._from(Step(leaf + rest, entry), depth + 1)
                if found is not None:
                    return (step, *found)
        return None if entries else self._by_namers(step, depth)

    def _by_namers(self, step: Step, depth: int) -> Route | None:
        for answer in self._namers(step.name):
            for leaf in _leaves(_now(answer)):
                if isinstance(leaf, Bound):
                    if self._is_wanted(leaf.id):
                        return (step,)
                    continue
                found = self._from(Step(leaf, None), depth + 1)
                if found is not None:
                    return (step, *found)
        return None

    def _is_wanted(self, bound_id: Path) -> bool:
        """Returns True if *bound_id* is the wanted one, before the interpreter's transformers."""
        return self._wanted[-len(bound_id) :] == bound_id


def _now(answer: Lookup) -> NameTree[Path | Bound]:
    if not isinstance(answer, Var):
        return answer
    state = answer.sample()
    return state.value if isinstance(state, Ok) else NEG


def _leaves(tree: NameTree[T]) -> list[T]:
    leaves: list[T] = []
    tree.map(leaves.append)
    return leaves
