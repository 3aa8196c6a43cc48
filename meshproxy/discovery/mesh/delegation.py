"""Reads the steps from a name to its end (delegator.proto)."""

from collections.abc import Callable
from typing import Final

from meshproxy.discovery.mesh.trees import (
    one_deeper,
    read_bound_name,
    read_dentry,
    read_path,
    read_weighted,
)
from meshproxy.discovery.namerd import BoundName
from meshproxy.discovery.protobuf import one_of, text, value_of, values
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Step
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Fail, Leaf, NameTree, Neg, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, State

_NODES: Final = range(3, 12)


class Delegations:
    """Reads BoundDelegateTrees; *bound* follows the addresses of each end."""

    def __init__(self, bound: Callable[[BoundName], Bound]) -> None:
        self._bound = bound

    def read(self, data: bytes) -> Step:
        """Returns a tree. Raises `Malformed`."""
        return self._read(data, Step(), 0)

    def _read(self, data: bytes, step: Step, depth: int) -> Step:
        deeper = one_deeper(depth)
        step.name = read_path(value_of(data, 1)) or None
        step.entry = read_dentry(value_of(data, 2) or b"")
        match one_of(data, _NODES):
            case 3, _:
                step.state = Ok(NEG)
            case 4, _:
                step.state = Ok(FAIL)
            case 5, _:
                step.state = Ok(EMPTY)
            case 6, sent:
                step.steps = [self._read(each, Step(), deeper) for each in values(sent, 1)]
                step.state = _first(step.steps)
            case 7, sent:
                step.is_union = True
                step.steps = [self._weighted(each, deeper) for each in values(sent, 1)]
                step.state = _together(step.steps)
            case 8, sent:
                step.state = self._leaf(sent)
            case 9, sent:
                step.steps = [self._read(sent, Step(), deeper)]
                step.state = step.steps[0].state
            case 10, sent:
                by = Path.of("%", text(value_of(sent, 1)) or "transformer")
                step.name = None
                step.state = self._leaf(value_of(sent, 2) or b"")
                step.steps = [self._read(value_of(sent, 3) or b"", Step(by=by), deeper)]
            case 11, sent:
                step.state = Failed(Exception(f"namerd: {text(sent)}"))
            case _:
                raise Malformed("a step of an unknown kind")
        return step

    def _leaf(self, data: bytes) -> State[NameTree[Bound]]:
        return Ok(Leaf(self._bound(read_bound_name(data))))

    def _weighted(self, data: bytes, depth: int) -> Step:
        weight, tree = read_weighted(data)
        step = Step()
        step.weight = weight
        return self._read(tree, step, depth)


def _first(steps: list[Step]) -> State[NameTree[Bound]]:
    """Returns the result of alternatives: the first that is not negative."""
    return next((step.state for step in steps if step.state != Ok(NEG)), Ok(NEG))


def _together(steps: list[Step]) -> State[NameTree[Bound]]:
    """Returns the result of a union: the members that are bound."""
    kept: list[Weighted[Bound]] = []
    for step in steps:
        match step.state:
            case Ok(tree) if not isinstance(tree, Neg | Fail):
                kept.append(Weighted(step.weight, tree))
    if kept:
        return Ok(kept[0].tree if len(kept) == 1 else Union(tuple(kept)))
    unknown = [step.state for step in steps if not isinstance(step.state, Ok)]
    return unknown[0] if unknown and len(unknown) == len(steps) else Ok(NEG)
