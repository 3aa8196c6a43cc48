"""The objects of one configuration: routers and their servers' parameters, exporters, logs.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

from collections.abc import Mapping

import gevent

from meshproxy.config.routers import RouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.metrics.tree import Tree
from meshproxy.protocols.protocol import RouterDeps, ServedRouter
from meshproxy.recent.requests import RecentRequests
from meshproxy.router.own_listeners import LoopGuard, OwnListeners
from meshproxy.runtime.building import Problems, build
from meshproxy.runtime.listen_addresses import ListenAddress
from meshproxy.runtime.naming import Naming
from meshproxy.runtime.telemetry import Telemetry
from meshproxy.server.listener import ServerParameters
from meshproxy.server.log_writer import LogWriter


class Generation:
    """Everything that *config* asks for, except sockets.

    It takes over what it shares with *before*, the generation that it replaces: the resolver,
    namers with what they know, exporters, access logs, and clients with their pools and breakers.
    Raises CannotStart.
    """

    def __init__(
        self,
        config: LinkerConfig,
        metrics: Tree,
        environ: Mapping[str, str],
        own: OwnListeners,
        recent: RecentRequests,
        before: "Generation | None" = None,
    ) -> None:
        self.config = config
        self._metrics = metrics
        self._own = own
        self._recent = recent
        self._sweepers: list[gevent.Greenlet] = []
        self.resolver: DnsResolver = (
            before.resolver
            if before is not None and before.config.dns == config.dns
            else DnsResolver(DnsSettings.of(config.dns), metrics)
        )
        earlier = {one.config.name: one for one in before.routers} if before is not None else {}
        problems = Problems()
        with problems.noted():
            former_naming = before.naming if before is not None else None
            self.naming: Naming = Naming(config, metrics, environ, self.resolver, former_naming)
        with problems.noted():
            former = before.telemetry if before is not None else None
            self.telemetry: Telemetry = Telemetry(config.telemetry, metrics, recent, former)
        problems.refuse_any()
        self.routers: list[ServedRouter] = []
        for number, one in enumerate(config.routers):
            with problems.noted():
                self.routers.append(self._build_router(number, one, earlier.get(one.name)))
        problems.refuse_any()
        self.logs: dict[str, LogWriter] = {
            router.config.name: router.access_log
            for router in self.routers
            if router.access_log is not None
        }
        self.servers: dict[ListenAddress, ServerParameters] = {
            ListenAddress.of_server(router.config, index): parameters
            for router in self.routers
            for index, parameters in enumerate(router.servers)
        }

    def start(self, before: "Generation | None" = None) -> None:
        """Begins background work, except what *before* does already."""
        running = before.logs.values() if before is not None else ()
        for log in self.logs.values():
            if log not in running:
                log.start()
        self._sweepers = [
            gevent.spawn(_refill_often, self._recent),
            *(gevent.spawn(_sweep_often, router) for router in self.routers),
        ]

    def retire(self, successor: "Generation") -> None:
        """Keeps only what running requests use and what *successor* took over."""
        gevent.killall(self._sweepers, block=False)
        successors = {router.config.name: router for router in successor.routers}
        for router in self.routers:
            router.close(successors.get(router.config.name))

    def close(self) -> None:
        """Stops everything."""
        gevent.killall(self._sweepers)
        self.telemetry.close()
        for log in self.logs.values():
            log.close()
        for router in self.routers:
            router.close()

    def _build_router(
        self, number: int, config: RouterConfig, before: ServedRouter | None
    ) -> ServedRouter:
        metrics = self._metrics.scope("rt", config.name)
        telemeters = self.telemetry.telemeters
        deps = RouterDeps(
            metrics=metrics,
            interpreter=self.naming.interpreters[number],
            guard=LoopGuard(self._own, config.name, metrics),
            resolve=self.resolver.resolve,
            filters=lambda server: [
                one for each in telemeters for one in each.filters(config.name, server)
            ],
            recorders=[
                recorder for each in telemeters if (recorder := each.recorder()) is not None
            ],
            recent=self._recent,
            before=before,
        )
        router: ServedRouter = build(config, f"routers[{number}]", lambda: deps)
        return router


def _refill_often(recent: RecentRequests) -> None:
    """Begins each second of the latest requests, for ever."""
    while True:
        recent.refill()
        gevent.sleep(1)


def _sweep_often(router: ServedRouter) -> None:
    """Closes, for ever, what a router has not used for a while."""
    period = router.config.binding_cache.idle_ttl_secs
    while period:
        gevent.sleep(period)
        router.sweep()
