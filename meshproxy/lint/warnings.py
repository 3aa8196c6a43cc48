"""All that is suspicious about a configuration that is valid."""

from collections.abc import Iterator, Mapping

from meshproxy.config.bases import TransformerConfig
from meshproxy.config.errors import ConfigError, Problem, Severity
from meshproxy.config.load import Loaded
from meshproxy.config.schema import LinkerConfig
from meshproxy.lint.clients import check_clients
from meshproxy.lint.entries import entries_of
from meshproxy.lint.kinds import answered
from meshproxy.lint.names import check_names
from meshproxy.lint.unions import check_unions
from meshproxy.lint.world import World
from meshproxy.naming.nameset import NameSet
from meshproxy.transformers.replace import ConstConfig, ReplaceConfig


def warnings_of(loaded: Loaded, environ: Mapping[str, str]) -> tuple[ConfigError, ...]:
    """Warnings, each once and with its place; nothing is said that is not certain."""
    config = loaded.config
    found: list[ConfigError] = []
    problems = list(_of_transformers(config))
    worlds: list[World] = []
    for number, router in enumerate(config.routers):
        entries = entries_of(loaded, number)
        if entries is not None:
            worlds.append(World(entries, config.namers))
            found += check_names(loaded, number, worlds[-1])
            found += check_unions(router, worlds[-1])
            problems += check_clients(config, number, environ)
    if len(worlds) == len(config.routers):
        problems += _of_rewriting(config, worlds)
    return tuple(dict.fromkeys((*found, *map(loaded.placed, problems))))


def _of_rewriting(config: LinkerConfig, worlds: list[World]) -> Iterator[Problem]:
    """Names that rewriting namers answer with, and that no router can bind."""
    for number, namer in enumerate(config.namers):
        for names in answered(namer):
            reasons = [world.why_nowhere(names) for world in worlds]
            if all(reasons):
                what = f"{names.show()} {reasons[0]}"
                yield Problem(what, f"namers[{number}].name", Severity.WARNING)


def _of_transformers(config: LinkerConfig) -> Iterator[Problem]:
    """Names that transformers put in the place of others, and that no namer knows."""
    world = World((), config.namers)
    for path, one in _transformers(config):
        if isinstance(one, ReplaceConfig | ConstConfig):
            why = world.why_nowhere(NameSet(one.path, is_open=False))
            if why is not None:
                what = f"{one.path.show()} {why}; no dtab is asked here"
                yield Problem(what, f"{path}.path", Severity.WARNING)


def _transformers(config: LinkerConfig) -> Iterator[tuple[str, TransformerConfig]]:
    for number, namer in enumerate(config.namers):
        for index, one in enumerate(namer.transformers):
            yield f"namers[{number}].transformers[{index}]", one
    for number, router in enumerate(config.routers):
        for index, one in enumerate(router.interpreter_or_default().transformers):
            yield f"routers[{number}].interpreter.transformers[{index}]", one
