"""Where names may lead and if they must be bound, found without asking any discovery system.

Each name stands for all that begin like it. Anything unknown counts as possible: a set of names
that is said to lead nowhere, or to be bound in any case, is so whatever is discovered.
The rules are those of finagle: Namer.scala (`bind`), as in interpreters/default.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from meshproxy.config.bases import NamerConfig
from meshproxy.config.suggest import suggestion
from meshproxy.lint.entries import PlacedEntry
from meshproxy.lint.index import PrefixIndex
from meshproxy.lint.kinds import (
    SYSTEM_NAMERS,
    answered,
    answered_by_system,
    is_never_negative,
)
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.nametree import Alt, Empty, Fail, Leaf, NameTree
from meshproxy.naming.path import Path

MAX_STEPS: Final = 500
"""The most steps of one walk, beside four for each entry; with more to do, anything is possible."""
SPARE_SEGMENTS: Final = 4
"""How much longer than all prefixes a name may be; those still longer are one with all like it."""
MAX_NODES: Final = 100
"""The most nodes of trees that are looked at to show that a name has an answer."""


class Reached:
    """What a walk came to: names, and by their numbers entries and namers."""

    def __init__(self) -> None:
        self.names: PrefixIndex[NameSet] = PrefixIndex()
        self.entries: set[int] = set()
        self.namers: set[int] = set()

    def add(self, names: NameSet) -> bool:
        """Adds *names*. Returns True if some of them are new."""
        if any(known.includes(names) for known in self.names.covering(names)):
            return False
        self.names.add(names.segments, names)
        return True

    def under(self, prefix: Sequence[bytes | None]) -> list[NameSet]:
        """Returns the names that begin with *prefix*."""
        found = self.names.meeting(NameSet(tuple(prefix)))
        return [names.within(prefix) for names in found if names.meets(prefix)]


class World:
    """The entries of one router, the preferred ones last, and the namers of the file."""

    def __init__(self, entries: Sequence[PlacedEntry], namers: Sequence[NamerConfig]) -> None:
        self.entries = entries
        self.namers = namers
        self._index: PrefixIndex[int] = PrefixIndex()
        for number, entry in enumerate(entries):
            self._index.add(entry.prefix, number)
        self._longest = max((len(entry.prefix) for entry in entries), default=0) + SPARE_SEGMENTS
        self._beginnings = {_shown(entry.prefix[:1]) for entry in entries}

    def reach(self, starts: Iterable[NameSet]) -> Reached | None:
        """Returns all that the names *starts* may lead to; None if that is too much to tell."""
        reached, waiting, steps = Reached(), list(starts), 0
        while waiting:
            names = waiting.pop()
            if len(names.segments) > self._longest:
                names = NameSet(names.segments[: self._longest])
            if reached.add(names):
                following = list(self._next(names, reached))
                waiting += following
                steps += 1 + len(following)
            if steps > MAX_STEPS + 4 * len(self.entries):
                return None
        return reached

    def _next(self, names: NameSet, reached: Reached) -> Iterator[NameSet]:
        for number in self._index.meeting(names):
            reached.entries.add(number)
            entry = self.entries[number]
            rest = names.drop(len(entry.prefix))
            yield from (rest.behind(leaf) for leaf in entry.leaves)
        for number, namer in enumerate(self.namers):
            if names.meets(namer.full_prefix()):
                reached.namers.add(number)
                yield from answered(namer)
        yield from answered_by_system(names)

    def answering(self, names: NameSet, after: int = -1) -> PlacedEntry | None:
        """Returns an entry after number *after* that has an answer for each of *names*."""
        for number in self._index.covering(names):
            entry = self.entries[number]
            if number > after and self.is_answer(entry.dst, names.drop(len(entry.prefix))):
                return entry
        return None

    def covering(self, names: NameSet) -> Iterator[PlacedEntry]:
        """Yields the entries that apply to each of *names*."""
        return (self.entries[number] for number in self._index.covering(names))

    def is_met(self, names: NameSet) -> bool:
        """Returns True if an entry applies to some of *names*."""
        return any(True for _ in self._index.meeting(names))

    def why_nowhere(self, names: NameSet) -> str | None:
        """Returns why none of *names* can be bound, or None if some may be."""
        if self.is_met(names):
            return None
        match names.segments:
            case () | (None, *_) | (b"$",) | (b"$", None, *_):
                return None
            case (b"#", *_):
                return self._why_no_namer(names)
            case (b"$", bytes(name), *_):
                return _why_no_system_namer(name)
        begun = _shown(names.segments[:1])
        hint = "" if begun in self._beginnings else _hint(begun, self._beginnings)
        return f"leads nowhere, no entry begins so{hint}"

    def _why_no_namer(self, names: NameSet) -> str | None:
        prefixes = [namer.full_prefix() for namer in self.namers]
        if any(map(names.meets, prefixes)):
            return None
        hint = _hint(_shown(names.segments[:2]), [prefix.show() for prefix in prefixes])
        return f"never binds, no namer has that prefix{hint}"

    def is_answer(self, tree: NameTree[Path], rest: NameSet) -> bool:
        """Returns True if *tree*, with *rest* after each of its paths, is never negative."""
        return _Proof(self).holds(tree, rest)


class _Proof:
    """One attempt to show that names are never negative; what takes too long is not shown."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._left = MAX_NODES

    def holds(self, tree: NameTree[Path], rest: NameSet) -> bool:
        self._left -= 1
        match tree:
            case _ if self._left < 0:
                return False
            case Leaf(path):
                return self._is_answered(rest.behind(path))
            case Alt(trees):
                return any(self.holds(one, rest) for one in trees)
            case Fail() | Empty():
                return True
            case _:  # a union loses its members one by one
                return False

    def _is_answered(self, names: NameSet) -> bool:
        entries = list(self._world.covering(names))
        if entries:
            return any(self.holds(entry.dst, names.drop(len(entry.prefix))) for entry in entries)
        return is_never_negative(names) and not self._world.is_met(names)


def _why_no_system_namer(name: bytes) -> str | None:
    if name in SYSTEM_NAMERS:
        return None
    hint = _hint(_shown((name,))[1:], map(bytes.decode, SYSTEM_NAMERS))
    return f"always fails, there is no such namer{hint}"


def _hint(word: str, known: Iterable[str]) -> str:
    words = list(known)
    return f", {suggestion(word, words)}" if words else ""


def _shown(segments: Sequence[bytes | None]) -> str:
    return NameSet(tuple(segments), is_open=False).show()
