"""How a name is delegated to its end, step by step (linkerd: namer/core/.../DelegateTree.scala)."""

from itertools import takewhile
from typing import NamedTuple, TypeAlias

from meshproxy.naming.addr import AddrBound, AddrFailed, AddrPending
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dentry
from meshproxy.naming.nametree import Leaf, NameTree, Neg
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State
from meshproxy.wording import in_words


class Step:
    """A name on the way, or a part of what a name stands for, and what became of it.

    The code that makes the tree fills it in; nothing changes it afterwards.
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


class DeadEnd(NamedTuple):
    """An end without an endpoint, and the name and the rule that led to it."""

    name: Path
    entry: Dentry | None
    why: str

    def show(self) -> str:
        """Returns it as a line for people, with the place of the rule if it is known."""
        rule = ""
        if self.entry is not None:
            at = f", {self.entry.place}" if self.entry.place else ""
            rule = f" ({self.entry.prefix.show()} => {self.entry.dst.show()}{at})"
        return f"{self.name.show()}{rule}: {self.why}"


def dead_ends(root: Step) -> list[DeadEnd]:
    """Returns the ends from *root* on that lead to no endpoint, in the order they were tried.

    What stands behind the alternative that is taken does not count.
    """
    found: list[DeadEnd] = []
    ways: list[tuple[Step, Path, Dentry | None]] = [(root, root.name or Path(), root.entry)]
    while ways:
        step, name, entry = ways.pop()
        if not step.steps and (why := _why(step)):
            found.append(DeadEnd(name, step.entry or entry, why))
        ways += [
            (following, following.name or name, following.entry or entry)
            for following in reversed(_taken(step))
        ]
    return found


def _taken(step: Step) -> list[Step]:
    """Returns the steps after *step* that decide what it comes to."""
    if step.is_union:
        return step.steps
    negative = list(takewhile(_is_negative, step.steps))
    return step.steps[: len(negative) + 1]


def _is_negative(step: Step) -> bool:
    return isinstance(step.state, Ok) and isinstance(step.state.value, Neg)


def _why(step: Step) -> str:
    """Returns why *step*, which is an end, leads to no endpoint; "" if it leads to one."""
    by = "" if step.by is None else f"{step.by.show()} says: "
    match step.state:
        case Ok(Leaf(bound)):
            return _why_unbound(bound)
        case Ok(Neg()) if by or step.name is not None:
            return f"{by}no such name" if by else "no dtab entry and no namer has this name"
        case Ok(tree):
            return f"{by}ended by {tree.show()}"
        case Failed(error):
            return f"{by}{in_words(error)}"
    return f"{by}no answer yet"


def _why_unbound(bound: Bound) -> str:
    """Returns why *bound* has no endpoints; "" if it has some."""
    addr = bound.addr.sample()
    if isinstance(addr, AddrBound) and addr.addresses:
        return ""
    if isinstance(addr, AddrFailed):
        return f"bound to {bound.id.show()}: {addr.why}"
    if isinstance(addr, AddrPending):
        return f"bound to {bound.id.show()}, whose addresses are not known yet"
    return f"bound to {bound.id.show()}, which has no endpoints"


def _ends_at(bound_id: Path, state: State[NameTree[Bound]]) -> bool:
    match state:
        case Ok(Leaf(bound)):
            return bound_id[-len(bound.id) :] == bound.id
    return False
