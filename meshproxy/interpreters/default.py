"""The `default` interpreter: the dtab first, then the configured namers, then `/$/`.

finagle: Namer.scala (`bind`); linkerd: namer/core/.../{DefaultInterpreterInitializer,
ConfiguredDtabNamer}.scala. A name is bound in one plain walk, which is repeated whenever a live
answer that it used has changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import ClassVar, Final, NamedTuple, TypeAlias, TypeVar

from meshproxy.config.bases import InterpreterConfig, InterpreterDeps, SystemNames
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.live import Answers, follow
from meshproxy.interpreters.route import Search
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.dtab import Dentry, Dtab
from meshproxy.naming.namer import BoundTree, Lookup, Namer, Route, Transformer
from meshproxy.naming.nametree import NEG, Alt, Empty, Fail, Leaf, NameTree, Neg, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Activity, Failed, Ok, Pending, State

MAX_DEPTH: Final = 100
MAX_NODES: Final = 1000
MAX_NESTING: Final = 256
MAX_SEGMENTS: Final = 1000

T = TypeVar("T")
AnyTree: TypeAlias = NameTree[Path | Bound]
_SYSTEM: Final = Path.of("$")


class _Rest(NamedTuple):
    """What is appended to each path of a tree."""

    path: Path = Path()
    written: int | None = None
    """How many of its first segments the operator wrote; None if not even the tree."""
    is_steered: bool = False
    """True if a rule of the request led there."""


_NOTHING: Final = _Rest()
_STEERED: Final = _Rest(is_steered=True)


class DefaultInterpreter:
    """Binds names with a dtab and namers; *namers* are in the order of the configuration."""

    def __init__(
        self,
        namers: Sequence[Namer],
        system: SystemNames,
        transformers: Sequence[Transformer] = (),
    ) -> None:
        self._world = _World(tuple(reversed(namers)), system, tuple(transformers))

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows *path* to its end; fails after 100 lookups or 1000 nodes of the tree."""
        return follow(lambda answers: _Walk(self._world, dtab, answers).run(path))

    def route(self, dtab: Dtab, path: Path, bound_id: Path) -> Route:
        """Returns the way from *path* to *bound_id*, without the interpreter's transformers."""
        return Search(dtab, self._world.answers, bound_id).run(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultInterpreterConfig(InterpreterConfig):
    """Binds names by the router's dtab and the configured namers."""

    kind: ClassVar[str] = "default"

    def build(self, deps: InterpreterDeps) -> DefaultInterpreter:
        """Returns the interpreter."""
        return DefaultInterpreter(deps.namers, deps.system, deps.transformers)


@dataclass(frozen=True, slots=True)
class _World:
    """What all bindings of one interpreter share; preferred namers come first."""

    namers: tuple[Namer, ...]
    system: SystemNames
    transformers: tuple[Transformer, ...]

    def answers(self, name: Path) -> Iterator[Lookup]:
        """Yields the answer of each namer that handles *name*, preferred ones first."""
        for namer in self.namers:
            if name.starts_with(namer.prefix):
                yield namer.lookup(name.drop(len(namer.prefix)))
        if name.starts_with(_SYSTEM):
            yield self.system.lookup(name.drop(1))


class _TooLarge(Exception):
    """A walk exceeded a limit that no sensible dtab reaches."""


@dataclass(slots=True)
class _Walk:
    """One walk from a name to its end, with the present *answers* of live namers."""

    world: _World
    dtab: Dtab
    answers: Answers
    nodes: int = 0

    def run(self, path: Path) -> State[BoundTree]:
        """Binds *path* and lets the transformers change the result."""
        try:
            state = self._bind(Leaf(path), _NOTHING, 0, 0)
        except _TooLarge as error:
            return Failed(BindingFailed(str(error)))
        for transformer in self.world.transformers:
            if not isinstance(state, Ok):
                break
            tree = state.value
            state = self.answers.get((id(transformer), tree), partial(transformer.transform, tree))
        return state

    def _bind(self, tree: AnyTree, rest: _Rest, depth: int, nesting: int) -> State[BoundTree]:
        """Binds *tree* with *rest* appended to each of its paths; *depth* lookups led to it."""
        members: Iterator[tuple[AnyTree, _Rest]] | Pending | Failed
        while True:
            self._visit(nesting)
            match tree:
                case Leaf(value):
                    if isinstance(value, Bound):
                        return Ok(Leaf(_steered(value) if rest.is_steered else value))
                    depth += 1
                    written = 0 if rest.written is None else len(value) + rest.written
                    members = self._look_up(value + rest.path, written, rest.is_steered, depth)
                case Alt(trees):
                    members = zip(trees, repeat(rest))
                case Union(weighted):
                    return self._union(weighted, rest, depth, nesting)
                case Neg() | Fail() | Empty():
                    return Ok(tree)
            if isinstance(members, Pending | Failed):
                return members
            last = next(members, (NEG, _NOTHING))
            for following in members:
                state = self._bind(*last, depth, nesting + 1)
                if not _is_negative(state):
                    return state
                last = following
            tree, rest = last

    def _union(
        self, members: tuple[Weighted[Path | Bound], ...], rest: _Rest, depth: int, nesting: int
    ) -> State[BoundTree]:
        if len(members) == 1:
            return self._bind(members[0].tree, rest, depth, nesting + 1)
        kept: list[Weighted[Bound]] = []
        unknown: State[BoundTree] = PENDING
        is_known = not members
        for weight, member in members:
            state = self._bind(member, rest, depth, nesting + 2)
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

    def _look_up(
        self, name: Path, written: int, is_steered: bool, depth: int
    ) -> "Iterator[tuple[AnyTree, _Rest]] | Pending | Failed":
        """Returns what *name* stands for: alternatives, each with what is appended to its paths.

        The operator wrote the first *written* segments of the name.
        """
        if len(name) > MAX_SEGMENTS:
            raise _TooLarge(f"More than {MAX_SEGMENTS} segments in Namer lookup")
        members: Iterator[tuple[AnyTree, _Rest]]
        self.nodes += self.dtab.surcharge
        entries = self.dtab.matching(name)
        if len(entries) > 1 or (entries and not isinstance(entries[0].dst, Neg)):
            members = ((entry.dst, _rest(entry, name, written, is_steered)) for entry in entries)
        else:
            answer = self._ask(name, written)
            if not isinstance(answer, Ok):
                return answer
            members = iter([(answer.value, _STEERED if is_steered else _NOTHING)])
        return members if depth <= MAX_DEPTH else _TOO_DEEP

    def _ask(self, name: Path, written: int) -> State[AnyTree]:
        """Asks the configured namers, then the system ones, until one is not negative."""
        for namer in self.world.namers:
            prefix = namer.prefix
            if not name.starts_with(prefix):
                continue
            ask = partial(namer.lookup, name.drop(len(prefix)))
            answer: State[AnyTree] = self.answers.get((id(namer), name), ask)
            if not _is_negative(answer):
                return answer
        if not name.starts_with(_SYSTEM):
            return Ok(NEG)
        ask = partial(self.world.system.lookup, name.drop(1))
        return _written(self.answers.get((None, name), ask), written)

    def _visit(self, nesting: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooLarge(f"More than {MAX_NODES} nodes visited in Namer lookup")
        if nesting > MAX_NESTING:
            raise _TooLarge(f"More than {MAX_NESTING} levels of nesting in Namer lookup")


def _rest(entry: Dentry, name: Path, written: int, is_steered: bool) -> _Rest:
    """Returns what *entry* leaves of *name*, whose first *written* segments the operator wrote."""
    length = len(entry.prefix)
    if entry.by_request:
        return _Rest(name.drop(length), None, is_steered=True)
    return _Rest(name.drop(length), max(written - length, 0), is_steered)


def _steered(bound: Bound) -> Bound:
    return replace(bound, is_steered=True)


def _written(state: State[AnyTree], segments: int) -> State[AnyTree]:
    """Returns a system namer's answer for a name whose first *segments* the operator wrote."""
    if not (segments and isinstance(state, Ok) and isinstance(state.value, Leaf)):
        return state
    bound = state.value.value
    if not isinstance(bound, Bound) or segments < len(bound.id):
        return state
    return Ok(Leaf(replace(bound, chosen_by=ChosenBy.OPERATOR)))


def _is_negative(state: State[NameTree[T]]) -> bool:
    return isinstance(state, Ok) and isinstance(state.value, Neg)


_TOO_DEEP: Final = Failed(
    BindingFailed(f"Max recursion level: {MAX_DEPTH} reached in Namer lookup")
)
