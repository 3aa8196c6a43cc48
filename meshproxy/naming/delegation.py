"""How a name is delegated to its end, step by step (linkerd: namer/core/.../DelegateTree.scala)."""

from typing import NamedTuple, TypeAlias

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dentry
from meshproxy.naming.nametree import Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, State


class Step:
    """A name on the way, or a part of what a name stands for, and what became of it.

    Whoever makes the tree fills it in; nobody changes it afterwards.
    """

    name: Path | None = None
    """The name that was looked up; None for `~`, `!`, `$`, bound names and trees of several."""
    weight = 1.0
    """Its share, if the step before is a union."""
    is_union = False
    """All of `steps` are taken, by weight; if not, the first that is not negative."""
    state: State[NameTree[Bound]] = PENDING
    """What it comes to."""

    def __init__(self, entry: Dentry | None = None, by: Path | None = None) -> None:
        self.entry = entry
        """The rule whose destination, or part of it, this is."""
        self.by = by
        """The prefix of the namer or the transformer whose answer this is."""
        self.steps: list[Step] = []
        """What this stands for, in the order in which it was tried."""


class Delegation(NamedTuple):
    """All steps from a name to its end, and what the name is bound to after all transformers."""

    root: Step
    state: State[NameTree[Bound]]


class Hop(NamedTuple):
    """A name on the way to an end, and the rule that led to it, if one did."""

    name: Path
    entry: Dentry | None


Route: TypeAlias = tuple[Hop, ...]


def route_to(bound_id: Path, root: Step) -> Route:
    """Returns the way from *root* to the first end that is bound to *bound_id*; () without one.

    Transformers may have put prefixes in front of *bound_id*.
    """
    ways: list[tuple[Step, Route]] = [(root, ())]
    while ways:
        step, before = ways.pop()
        route = before if step.name is None else (*before, Hop(step.name, step.entry))
        if not step.steps and _ends_at(bound_id, step.state):
            return route
        ways += [(following, route) for following in reversed(step.steps)]
    return ()


def _ends_at(bound_id: Path, state: State[NameTree[Bound]]) -> bool:
    match state:
        case Ok(Leaf(bound)):
            return bound_id[-len(bound.id) :] == bound.id
    return False
