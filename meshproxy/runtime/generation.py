"""What one configuration becomes: routers and how their servers serve, exporters and logs.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

from collections.abc import Iterator, Mapping

import gevent

from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.discovery.dns import Resolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.errors import ProxyError
from meshproxy.metrics.tree import Tree
from meshproxy.router.router import Router
from meshproxy.runtime.answers import answerer
from meshproxy.runtime.limits import limits_of
from meshproxy.runtime.naming import Naming
from meshproxy.runtime.places import Place
from meshproxy.runtime.server_filters import access_log, log_settings, server_filters
from meshproxy.runtime.telemetry import Telemetry
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.listener import ServerParameters
from meshproxy.server.log_writer import LogWriter
from meshproxy.server.tls import server_context
from meshproxy.service import stack
from meshproxy.telemeters.recent_requests import RecentRequests


class CannotStart(Exception):
    """Something outside the configuration is in the way: a port, a certificate, a variable."""


class Generation:
    """Everything that *config* asks for, but for sockets.

    What it shares with *before*, the generation that it is to replace, it takes over from there:
    the resolver, exporters, access logs, and clients with their pools and breakers.
    Raises CannotStart.
    """

    def __init__(
        self,
        config: LinkerConfig,
        metrics: Tree,
        environ: Mapping[str, str],
        before: "Generation | None" = None,
    ) -> None:
        self.config = config
        self._metrics = metrics
        self._sweepers: list[gevent.Greenlet] = []
        self.resolver: Resolver = (
            before.resolver
            if before is not None and before.config.dns == config.dns
            else Resolver(DnsSettings.of(config.dns), metrics)
        )
        earlier = {one.label: one for one in before.routers} if before is not None else {}
        try:
            self.naming = Naming(config, metrics, environ, self.resolver)
            self.telemetry: Telemetry = Telemetry(
                config.telemetry, metrics, before.telemetry if before is not None else None
            )
            self.routers: list[Router] = [
                self._build_router(one, earlier.get(one.name))
                for one in config.routers
                if isinstance(one, HttpRouterConfig)
            ]
            self.logs: dict[str, LogWriter] = dict(
                self._logs(before.logs if before is not None else {}, earlier)
            )
            self.servers: dict[Place, ServerParameters] = {
                Place.of_server(router.config, index): self._terms(router, index)
                for router in self.routers
                for index in range(len(router.config.servers))
            }
        except (ValueError, ProxyError) as error:
            raise CannotStart(str(error)) from error

    def start(self, before: "Generation | None" = None) -> None:
        """Begin the work in the background that *before* does not do already."""
        running = before.logs.values() if before is not None else ()
        for log in self.logs.values():
            if log not in running:
                log.start()
        self._sweepers = [gevent.spawn(_sweep_often, router) for router in self.routers]

    def retire(self, heir: "Generation") -> None:
        """Keep nothing but what running requests use, and what *heir* took over."""
        gevent.killall(self._sweepers, block=False)
        heirs = {router.label: router.binding for router in heir.routers}
        for router in self.routers:
            router.binding.close(heirs.get(router.label))

    def close(self) -> None:
        """Stop everything."""
        gevent.killall(self._sweepers)
        self.telemetry.close()
        for log in self.logs.values():
            log.close()
        for router in self.routers:
            router.binding.close()

    def _build_router(self, config: HttpRouterConfig, before: Router | None) -> Router:
        metrics = self._metrics.scope("rt", config.name)
        interpreter = self.naming.interpreter(config, metrics)
        return Router(config, interpreter, limits_of(config), metrics, before)

    def _logs(
        self, before: Mapping[str, LogWriter], routers: Mapping[str, Router]
    ) -> Iterator[tuple[str, LogWriter]]:
        """The access log of each router that has one: the earlier one unless it has changed."""
        for router in self.routers:
            earlier = routers.get(router.label)
            if earlier is not None and log_settings(earlier.config) == log_settings(router.config):
                log = before.get(router.label)
            else:
                log = access_log(router)
            if log is not None:
                yield router.label, log

    def _terms(self, router: Router, index: int) -> ServerParameters:
        config = router.config.servers[index]
        limits = limits_of(router.config, config)
        name = f"{config.ip}/{config.port}"
        metrics = router.metrics.scope("server", name)
        filters = server_filters(router, config, limits, metrics, self.logs.get(router.label))
        recording = [
            telemeter.recording(router.label, name)
            for telemeter in self.telemetry.telemeters
            if isinstance(telemeter, RecentRequests)
        ]
        return ServerParameters(
            protocol=Http1(
                stack([*recording, *filters], router.serve),
                limits,
                answerer(limits, metrics, clear_context=config.clear_context),
            ),
            max_connections=config.max_connections,
            metrics=metrics,
            context=server_context(config.tls) if config.tls is not None else None,
            tls=config.tls,
            options=config.socket_options or SocketOptionsConfig(),
        )


def _sweep_often(router: Router) -> None:
    """Close what a router has not used for a while, for ever."""
    period = router.config.binding_cache.idle_ttl_secs
    while period:
        gevent.sleep(period)
        router.binding.sweep()
