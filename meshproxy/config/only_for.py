"""Keys and kinds that only routers of one protocol have."""

from collections.abc import Iterator

from meshproxy.config import kinds
from meshproxy.config.errors import Problem
from meshproxy.config.model import Config, Kinded, keys_of
from meshproxy.config.nodes import join


def misplaced(config: Config, protocols: frozenset[str], at: str = "") -> Iterator[Problem]:
    """Yields a problem for all in *config*, at the path *at*, that is of another protocol."""
    protocols |= frozenset(config.also_speaks())
    if isinstance(config, Kinded) and not _fits(config.only_for, protocols):
        yield Problem(_wrong_kind(config, protocols), join(at, config.kind_key))
        return
    for spec in keys_of(type(config)):
        value, path = getattr(config, spec.field), join(at, spec.name)
        if not _fits(spec.only_for, protocols) and value != spec.default:
            yield Problem(f"only {spec.only_for} has this, remove it", path)
        elif isinstance(value, Config):
            yield from misplaced(value, protocols, path)
        elif isinstance(value, tuple):
            is_one = spec.one_or_many and len(value) == 1
            for index, item in enumerate(value):
                if isinstance(item, Config):
                    yield from misplaced(item, protocols, path if is_one else f"{path}[{index}]")


def _fits(only_for: str | None, protocols: frozenset[str]) -> bool:
    return only_for is None or only_for in protocols


def _wrong_kind(config: Kinded, protocols: frozenset[str]) -> str:
    built = kinds.built(config.category)
    fitting = [
        kind for kind in built if _fits(kinds.find(config.category, kind).only_for, protocols)
    ]
    return f"{config.kind} is a kind of {config.only_for} alone, write one of: {', '.join(fitting)}"
