"""The namers, transformers and interpreters of a configuration.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

from collections.abc import Mapping, Sequence
from functools import partial

from meshproxy.config.bases import InterpreterDeps, NamerDeps, TransformerConfig
from meshproxy.config.routers import RouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.discovery.dns import DnsResolver
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.namers.transformed import TransformedNamer
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Interpreter, Namer, Transformer
from meshproxy.naming.path import Path
from meshproxy.runtime.building import build


class Naming:
    """What the routers of one configuration ask for names.

    Raises CannotStart, or ValueError when the environment lacks what a prefix needs.
    """

    def __init__(
        self, config: LinkerConfig, metrics: Tree, environ: Mapping[str, str], resolver: DnsResolver
    ) -> None:
        self._metrics = metrics
        self._environ = environ
        self._resolver = resolver
        self._system = SystemNamers(resolver.resolve)
        self.namers: list[Namer] = []
        """In the order of the file."""
        for number, one in enumerate(config.namers):
            where = f"namers[{number}]"
            namer: Namer = build(one, where, self._deps(one.full_prefix(), self.namers))
            if one.transformers:
                before = tuple(self.namers)
                transformers = self._transformers(one.transformers, where, before)
                namer = TransformedNamer(namer, transformers)
            self.namers.append(namer)

    def interpreter(self, router: RouterConfig, where: str, metrics: Tree) -> Interpreter:
        """Returns who binds the names of *router*, written at *where*. Raises CannotStart."""
        config = router.interpreter_or_default()
        bound: Interpreter = build(
            config,
            where,
            InterpreterDeps(
                namers=self.namers,
                system=self._system,
                transformers=self._transformers(config.transformers, where, self.namers),
                metrics=metrics.scope("interpreter"),
                environ=self._environ,
            ),
        )
        return bound

    def _transformers(
        self, configs: Sequence[TransformerConfig], where: str, namers: Sequence[Namer]
    ) -> list[Transformer]:
        return [
            build(
                config,
                f"{where}.transformers[{number}]",
                self._deps(config.full_prefix(self._environ), namers),
            )
            for number, config in enumerate(configs)
        ]

    def _deps(self, prefix: Path, namers: Sequence[Namer]) -> NamerDeps:
        return NamerDeps(
            prefix=prefix,
            metrics=self._metrics.scope("namer", prefix.drop(1).show()[1:]),
            resolver=self._resolver,
            bind=partial(DefaultInterpreter(namers, self._system).bind, Dtab()),
            environ=self._environ,
        )
