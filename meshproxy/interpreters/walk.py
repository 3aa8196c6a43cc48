"""The walk from a name to its end: the dtab first, then the configured namers, then `/$/`.

finagle: Namer.scala (`bind`); linkerd: namer/core/.../{DefaultInterpreterInitializer,
ConfiguredDtabNamer}.scala. It yields what the name is bound to together with every step on the
way, so what is told about a name is what routing does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, TypeAlias, TypeVar

from meshproxy.config.bases import SystemNames
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.live import Answers
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.delegation import Delegation, Step
from meshproxy.naming.dtab import Dentry, Dtab
from meshproxy.naming.namer import BoundTree, Namer, Transformer
from meshproxy.naming.nametree import NEG, Alt, Fail, Leaf, NameTree, Neg, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, Pending, State

MAX_DEPTH: Final = 100
MAX_NODES: Final = 1000
MAX_NESTING: Final = 256
MAX_SEGMENTS: Final = 1000

T = TypeVar("T")
AnyTree: TypeAlias = NameTree[Path | Bound]
_Weighted: TypeAlias = tuple[Weighted[Path | Bound], ...]
_SYSTEM: Final = Path.of("$")


class NamerSet(NamedTuple):
    """What all walks of one interpreter share; the preferred namer comes first."""

    namers: tuple[Namer, ...]
    system: SystemNames
    transformers: tuple[Transformer, ...]


class _Rest(NamedTuple):
    """What follows each path of a tree."""

    path: Path = Path()
    written: int | None = None
    """How many of its first segments the operator wrote; None if not even the tree."""
    is_steered: bool = False
    """A rule that came with the request led there."""


_Member: TypeAlias = tuple[Step, AnyTree, _Rest]
"""An alternative, with its step, which is not yet among those of the step before."""


class _TooLarge(Exception):
    """A walk reached a limit that no sensible table reaches."""


@dataclass(slots=True)
class Walk:
    """One walk, by the present *answers* of the live namers.

    It ends as soon as the result is known, unless it *is_full*: then it looks at all
    alternatives, and fails only the part that meets a limit.
    """

    known_by: NamerSet
    dtab: Dtab
    answers: Answers
    is_full: bool = False
    nodes: int = 0
    surcharge: int = 0

    def run(self, path: Path) -> Delegation:
        """Binds *path* and lets the transformers change the result."""
        root = Step()
        self.surcharge = self.dtab.surcharge
        try:
            state = self._bind(root, Leaf(path), _NOTHING, 0, 0)
        except _TooLarge as error:
            state = Failed(BindingFailed(str(error)))
        return Delegation(root, self._transform(state))

    def _bind(
        self, step: Step, tree: AnyTree, rest: _Rest, depth: int, nesting: int
    ) -> State[BoundTree]:
        """Binds *tree* with *rest* behind each of its paths, found by *depth* lookups, for *step*.

        The last alternative is bound in the same call: what it comes to, all before it come to.
        """
        undecided = [step]
        try:
            found = self._decide(step, tree, rest, depth, nesting)
            while isinstance(found, tuple):
                depth += step.name is not None
                following, tree, rest = found
                step.steps.append(following)
                undecided.append(following)
                step = following
                found = self._decide(step, tree, rest, depth, nesting)
        except _TooLarge as error:
            if not self.is_full:
                raise
            found = Failed(BindingFailed(str(error)))
        for one in undecided:
            one.state = found
        return found

    def _decide(
        self, step: Step, tree: AnyTree, rest: _Rest, depth: int, nesting: int
    ) -> State[BoundTree] | _Member:
        """Returns the result of *tree*, or its last alternative if all the others are negative."""
        self._visit(nesting)
        match tree:
            case Leaf(value):
                if isinstance(value, Bound):
                    return self._end(step, value, is_steered=rest.is_steered)
                depth += 1
                written = 0 if rest.written is None else len(value) + rest.written
                step.name = name = value + rest.path
                members = self._look_up(step, name, written, rest.is_steered)
                if depth > MAX_DEPTH and not isinstance(members, Pending | Failed):
                    return _TOO_DEEP
                if isinstance(members, _SINGLE):
                    return members
            case Alt(trees):
                members = ((Step(step.entry, step.by), each, rest) for each in trees)
            case Union(weighted):
                return self._union(step, weighted, rest, depth, nesting)
            case _:
                return Ok(tree)
        return self._all_but_last(step, members, depth, nesting + 1)

    def _end(self, step: Step, bound: Bound, *, is_steered: bool) -> State[BoundTree]:
        state = Ok(Leaf(replace(bound, is_steered=True) if is_steered else bound))
        if self.is_full:
            self._transform(state, step)
        return state

    def _all_but_last(
        self, step: Step, members: Iterator[_Member], depth: int, nesting: int
    ) -> State[BoundTree] | _Member:
        """Binds alternatives until one is not negative; returns its result, or the last one."""
        last = next(members, None)
        if last is None:
            return _NEGATIVE
        for following in members:
            state = self._follow(step, last, depth, nesting)
            if not _is_negative(state):
                for behind in chain((following,), members) if self.is_full else ():
                    if self.nodes <= MAX_NODES:
                        self._follow(step, behind, depth, nesting)
                return state
            last = following
        return last

    def _union(
        self, step: Step, members: _Weighted, rest: _Rest, depth: int, nesting: int
    ) -> State[BoundTree]:
        if len(members) == 1:
            only = Step(step.entry, step.by), members[0].tree, rest
            return self._follow(step, only, depth, nesting + 1)
        step.is_union = True
        kept: list[Weighted[Bound]] = []
        unknown: State[BoundTree] = PENDING
        is_known = not members
        for weight, tree in members:
            following = Step(step.entry, step.by)
            following.weight = weight
            state = self._follow(step, (following, tree, rest), depth, nesting + 2)
            match state:
                case Ok(tree):
                    is_known = True
                    if not isinstance(tree, Neg | Fail):
                        kept.append(Weighted(weight, tree))
                case Failed() if unknown is PENDING:
                    unknown = state
        if not is_known:
            return unknown
        if len(kept) == 1:
            return Ok(kept[0].tree)
        return Ok(Union(tuple(kept)) if kept else NEG)

    def _follow(self, step: Step, member: _Member, depth: int, nesting: int) -> State[BoundTree]:
        following, tree, rest = member
        step.steps.append(following)
        return self._bind(following, tree, rest, depth, nesting)

    def _look_up(
        self, step: Step, name: Path, written: int, is_steered: bool
    ) -> State[BoundTree] | _Member | Iterator[_Member]:
        """Returns what *name* stands for; the operator wrote its first *written* segments."""
        if len(name) > MAX_SEGMENTS:
            raise _TooLarge(f"More than {MAX_SEGMENTS} segments in Namer lookup")
        self.nodes += self.surcharge
        entries = self.dtab.matching(name)
        if len(entries) > 1:
            return (
                (Step(entry), entry.dst, _rest(entry, name, written, is_steered))
                for entry in entries
            )
        for entry in entries:
            if not isinstance(entry.dst, Neg):
                return Step(entry), entry.dst, _rest(entry, name, written, is_steered)
            step.steps.append(_negative(entry))
        return self._ask(step, name, written, is_steered)

    def _ask(
        self, step: Step, name: Path, written: int, is_steered: bool
    ) -> State[BoundTree] | _Member:
        """Asks the configured namers, then the system ones, until one is not negative."""
        for namer in self.known_by.namers:
            prefix = namer.prefix
            if not name.starts_with(prefix):
                continue
            ask = partial(namer.lookup, name.drop(len(prefix)))
            answer: State[AnyTree] = self.answers.get((id(namer), name), ask)
            if not _is_negative(answer):
                return _answered(step, prefix, answer, is_steered)
            step.steps.append(_negative(None, prefix))
        if not name.starts_with(_SYSTEM):
            return _NEGATIVE
        ask = partial(self.known_by.system.lookup, name.drop(1))
        answer = _written(self.answers.get((None, name), ask), written)
        return _answered(step, _SYSTEM, answer, is_steered)

    def _transform(self, state: State[BoundTree], step: Step | None = None) -> State[BoundTree]:
        """Returns what the interpreter's transformers make of *state*, with steps after *step*."""
        for transformer in self.known_by.transformers:
            if not isinstance(state, Ok):
                break
            tree = state.value
            state = self.answers.get((id(transformer), tree), partial(transformer.transform, tree))
            if step is not None:
                following = Step(None, transformer.prefix)
                following.state = state
                step.steps.append(following)
                step = following
        return state

    def _visit(self, nesting: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooLarge(f"More than {MAX_NODES} nodes visited in Namer lookup")
        if nesting > MAX_NESTING:
            raise _TooLarge(f"More than {MAX_NESTING} levels of nesting in Namer lookup")


def _answered(
    step: Step, by: Path, answer: State[AnyTree], is_steered: bool
) -> State[BoundTree] | _Member:
    """Returns the answer of the namer *by* as the only alternative, or as the end if it is none."""
    following = Step(None, by)
    if isinstance(answer, Ok):
        return following, answer.value, _STEERED if is_steered else _NOTHING
    following.state = answer
    step.steps.append(following)
    return answer


def _negative(entry: Dentry | None, by: Path | None = None) -> Step:
    step = Step(entry, by)
    step.state = _NEGATIVE
    return step


def _rest(entry: Dentry, name: Path, written: int, is_steered: bool) -> _Rest:
    """Returns *name* behind *entry*'s prefix; the operator wrote *written* segments."""
    length = len(entry.prefix)
    if entry.by_request:
        return _Rest(name.drop(length), None, is_steered=True)
    return _Rest(name.drop(length), max(written - length, 0), is_steered)


def _written(state: State[AnyTree], segments: int) -> State[AnyTree]:
    """Returns what a system namer answered to a name whose first *segments* are the operator's."""
    if not (segments and isinstance(state, Ok) and isinstance(state.value, Leaf)):
        return state
    bound = state.value.value
    if not isinstance(bound, Bound) or segments < len(bound.id):
        return state
    return Ok(Leaf(replace(bound, chosen_by=ChosenBy.OPERATOR)))


def _is_negative(state: State[NameTree[T]]) -> bool:
    return isinstance(state, Ok) and isinstance(state.value, Neg)


_NOTHING: Final = _Rest()
_STEERED: Final = _Rest(is_steered=True)
_NEGATIVE: Final = Ok(NEG)
_SINGLE: Final = (tuple, Ok, Pending, Failed)
_TOO_DEEP: Final = Failed(
    BindingFailed(f"Max recursion level: {MAX_DEPTH} reached in Namer lookup")
)
