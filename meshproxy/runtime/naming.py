"""The namers, transformers and interpreters of a configuration.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from meshproxy.admin.discovery import DNS, Row, rows
from meshproxy.config.bases import (
    InterpreterConfig,
    InterpreterDeps,
    NamerConfig,
    NamerDeps,
    TransformerConfig,
)
from meshproxy.config.routers import RouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.k8s.cluster import clusters
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.namers.transformed import TransformedNamer
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.followed import FollowsNames
from meshproxy.naming.namer import (
    BoundTree,
    Described,
    Enumerating,
    Interpreter,
    Namer,
    Transformer,
)
from meshproxy.naming.path import Path
from meshproxy.net.slices import Slices
from meshproxy.router.policy import client_tls
from meshproxy.runtime.building import Problems, build
from meshproxy.runtime.origins import http2_to
from meshproxy.runtime.running import Running, names_another
from meshproxy.var import Activity


class Naming:
    """Binds names for the routers of one configuration. Raises CannotStart.

    Namers and interpreters whose configuration is unchanged are those of *before*, with their
    watches and last answers.
    """

    def __init__(
        self,
        config: LinkerConfig,
        metrics: Tree,
        environ: Mapping[str, str],
        resolver: DnsResolver,
        before: "Naming | None" = None,
    ) -> None:
        self._metrics = metrics
        self._environ = environ
        self.resolver = resolver
        if before is None or before.resolver is not resolver:
            self.system = SystemNamers(resolver.resolve, metrics.scope("namer"))
            self.running = Running()
        else:
            self.system = before.system
            self.running = Running(before.running)
        self.namers: list[Namer] = []
        """The namers in the order of the file."""
        self.interpreters: list[Interpreter] = []
        """The interpreter of each router."""
        self.states: dict[str, Described] = {}
        """Objects whose state can be shown, by the path of their admin page."""
        self._following: list[tuple[str, FollowsNames]] = [(DNS, resolver)]
        self.enumerating: list[Enumerating] = []
        """The namers that can list their names."""
        problems = Problems()
        for number, one in enumerate(config.namers):
            with problems.noted():
                self.namers.append(self._namer(one, f"namers[{number}]"))
        for number, router in enumerate(config.routers):
            with problems.noted():
                self.interpreters.append(
                    self._interpreter(router, f"routers[{number}].interpreter")
                )
        problems.refuse_any()
        self.running.forget_before()

    def failing(self) -> list[Row]:
        """Returns a row for each name whose discovery currently fails."""
        return rows(self.following, Slices(), only_failing=True)

    def following(self) -> list[tuple[str, FollowsNames]]:
        """Returns the objects that follow names, each with a name for operators."""
        return [*self._following, *((f"Kubernetes API {one.host}", one) for one in clusters())]

    def _namer(self, config: NamerConfig, where: str) -> Namer:
        before = tuple(self.namers)
        own, prefix = replace(config, transformers=()), config.full_prefix()
        namer: Namer = self.running.get(
            own,
            before if names_another(own) else (),
            lambda: build(own, where, lambda: self._deps(prefix, before)),
        )
        if isinstance(namer, Described):
            self.states[f"/namer_state{prefix.drop(1).show()}.json"] = namer
        if isinstance(namer, FollowsNames):
            self._following.append((prefix.show(), namer))
        if isinstance(namer, Enumerating):
            self.enumerating.append(namer)
        if not config.transformers:
            return namer

        def transformed() -> Namer:
            return TransformedNamer(namer, self._transformers(config.transformers, where, before))

        return self.running.get(config, (namer, *before), transformed)

    def _interpreter(self, router: RouterConfig, where: str) -> Interpreter:
        config = router.interpreter_or_default()
        bound: Interpreter = self.running.get(
            config,
            (router.name, *self.namers),
            lambda: self._new_interpreter(config, router.name, where),
        )
        if isinstance(bound, Described):
            page = f"/{router.name}/interpreter_state/{config.kind.lower()}.json"
            self.states[page] = bound
        if isinstance(bound, FollowsNames):
            self._following.append((f"{config.kind} of {router.name}", bound))
        return bound

    def _new_interpreter(self, config: InterpreterConfig, router: str, where: str) -> Interpreter:
        transformers = self._transformers(config.transformers, where, self.namers)
        metrics = self._metrics.scope("rt", router, "interpreter", config.kind)
        deps = InterpreterDeps(
            namers=self.namers,
            system=self.system,
            transformers=transformers,
            metrics=metrics,
            bind=self._binder(()),
            environ=self._environ,
            tls=client_tls,
            http2=partial(http2_to, metrics.scope("connection")),
        )
        interpreter: Interpreter = build(config, where, lambda: deps)
        return interpreter

    def _transformers(
        self, configs: Sequence[TransformerConfig], where: str, namers: Sequence[Namer]
    ) -> list[Transformer]:
        built: list[Transformer] = []
        problems = Problems()
        for number, config in enumerate(configs):
            with problems.noted():
                deps = partial(self._transformer_deps, config, namers)
                built.append(build(config, f"{where}.transformers[{number}]", deps))
        problems.refuse_any()
        return built

    def _transformer_deps(self, config: TransformerConfig, namers: Sequence[Namer]) -> NamerDeps:
        return self._deps(config.full_prefix(self._environ), namers)

    def _deps(self, prefix: Path, namers: Sequence[Namer]) -> NamerDeps:
        return NamerDeps(
            prefix=prefix,
            metrics=self._metrics.scope("namer", prefix.show()[1:]),
            resolver=self.resolver,
            bind=self._binder(namers),
            environ=self._environ,
            tls=client_tls,
        )

    def _binder(self, namers: Sequence[Namer]) -> Callable[[Path], Activity[BoundTree]]:
        return partial(DefaultInterpreter(namers, self.system).bind, Dtab())
