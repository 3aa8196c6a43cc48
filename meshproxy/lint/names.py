"""Entries of dtabs that cannot do what they are written for."""

from collections.abc import Iterator, Sequence
from typing import Final

from meshproxy.config.errors import ConfigError, Severity
from meshproxy.config.load import Loaded
from meshproxy.lint.entries import PlacedEntry
from meshproxy.lint.kinds import given
from meshproxy.lint.world import World
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.nametree import NEG, Alt, NameTree, Union
from meshproxy.naming.path import Path

MAX_MET: Final = 50
"""The most sets of names for which it is tried to show that an entry has an answer."""


def check_names(loaded: Loaded, number: int, world: World) -> Iterator[ConfigError]:
    """Yields what is wrong with the entries of router *number*, which are those of *world*."""
    router = loaded.config.routers[number]
    for entry in world.entries:
        for leaf in dict.fromkeys(entry.leaves):
            why = world.why_nowhere(NameSet(leaf))
            if why is not None:
                yield _warning(entry, f"{leaf.show()} {why}")
    starts = [names for one in router.identifiers() for names in given(one, router.dst_prefix)]
    reached = world.reach(starts)
    if reached is None:
        return
    is_open = any(not server.clear_context for server in router.servers)
    apart = ", except by a request's own l5d-dtab" if is_open else ""
    last = {entry.dentry: entry for entry in world.entries}
    for at, entry in enumerate(world.entries):
        met = reached.under(entry.prefix)
        if not met:
            yield _warning(entry, f"no name leads to {_left(entry)}{apart}")
        elif (again := last[entry.dentry]) is not entry and entry.dst is not NEG:
            what = f"{_left(entry)} is never asked, it is written again at {_place(again, entry)}"
            yield _warning(entry, what)
        elif len(met) <= MAX_MET:
            yield from _shadow(world, at, met)
            yield from _dead_alternatives(world, entry, met)


def _shadow(world: World, at: int, met: Sequence[NameSet]) -> Iterator[ConfigError]:
    """Yields a finding if others answer whenever entry number *at* could be asked for *met*."""
    found = [world.answering(names, at) for names in met]
    if other := all(found) and found[0]:
        entry = world.entries[at]
        by = f"{other.dentry.show()} at {_place(other, entry)}"
        yield _warning(entry, f"{_left(entry)} is never asked, {by} always has an answer before it")


def _dead_alternatives(
    world: World, entry: PlacedEntry, met: Sequence[NameSet]
) -> Iterator[ConfigError]:
    rests = [names.drop(len(entry.prefix)) for names in met]
    for alternatives in _alternations(entry.dst):
        for tree, behind in zip(alternatives.trees, alternatives.trees[1:], strict=False):
            if all(world.is_answer(tree, rest) for rest in rests):
                what = (
                    f"{behind.show()} is never asked: {tree.show()} before it always has an answer"
                )
                yield _warning(entry, what)
                break


def _alternations(tree: NameTree[Path]) -> Iterator[Alt[Path]]:
    match tree:
        case Alt(trees):
            yield tree
            for one in trees:
                yield from _alternations(one)
        case Union(weighted):
            for member in weighted:
                yield from _alternations(member.tree)
        case _:
            return


def _left(entry: PlacedEntry) -> str:
    return entry.dentry.prefix.show()


def _place(entry: PlacedEntry, seen_from: PlacedEntry) -> str:
    file = "" if entry.file == seen_from.file else f"{entry.file}:"
    return f"{file}{entry.mark.line}:{entry.mark.column}"


def _warning(entry: PlacedEntry, what: str) -> ConfigError:
    return ConfigError(entry.file, entry.mark, entry.path, what, Severity.WARNING)
