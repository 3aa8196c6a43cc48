"""Unions whose members a transformer may leave without addresses."""

from collections.abc import Iterator

from meshproxy.config.bases import TransformerConfig
from meshproxy.config.errors import ConfigError, Severity
from meshproxy.config.routers import RouterConfig
from meshproxy.lint.kinds import is_selective
from meshproxy.lint.world import World
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.nametree import Alt, NameTree, Union
from meshproxy.naming.path import Path


def check_unions(router: RouterConfig, world: World) -> Iterator[ConfigError]:
    """Unions of *world*, the entries of *router*, a share of whose requests may fail."""
    of_all = router.interpreter_or_default().transformers
    for entry in world.entries:
        for union in _unions(entry.dst):
            members = _drawn(union)
            found = _selective(of_all) or _met(members, world) if len(members) > 1 else []
            if found:
                what = (
                    f"{found[0].kind} may leave a part of {union.show()} without any address, "
                    "whose share of the requests then fails with 502; alternatives (|) would go on"
                )
                yield ConfigError(entry.file, entry.mark, entry.path, what, Severity.WARNING)


def _drawn(union: Union[Path]) -> list[NameTree[Path]]:
    """Returns the members that requests are sent to."""
    weighted = [tree for weight, tree in union.weighted if weight]
    return weighted or [tree for _, tree in union.weighted]


def _met(trees: list[NameTree[Path]], world: World) -> list[TransformerConfig]:
    """Returns the selective transformers of the namers that *trees* may lead to."""
    leaves: list[Path] = []
    for tree in trees:
        tree.map(leaves.append)
    reached = world.reach(map(NameSet, leaves))
    if reached is None:
        return []
    return [
        one for at in sorted(reached.namers) for one in _selective(world.namers[at].transformers)
    ]


def _selective(transformers: tuple[TransformerConfig, ...]) -> list[TransformerConfig]:
    return [one for one in transformers if is_selective(one)]


def _unions(tree: NameTree[Path]) -> Iterator[Union[Path]]:
    match tree:
        case Union(weighted):
            yield tree
            for member in weighted:
                yield from _unions(member.tree)
        case Alt(trees):
            for one in trees:
                yield from _unions(one)
        case _:
            return
