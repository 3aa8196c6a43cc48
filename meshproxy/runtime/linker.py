"""From a configuration to running routers: the only big assembly.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial

import gevent

from meshproxy.admin.process import measure_process
from meshproxy.config.bases import InterpreterDeps, NamerDeps, TransformerConfig
from meshproxy.config.load import load
from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.servers import HttpServerConfig
from meshproxy.discovery.dns import Resolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.errors import ProxyError
from meshproxy.http.limits import Limits
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.namers.transformed import TransformedNamer
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Interpreter, Namer, Transformer
from meshproxy.naming.path import Path
from meshproxy.router.policy import load_contexts
from meshproxy.router.router import Router
from meshproxy.runtime.admin import admin_listener, identifier_listener
from meshproxy.runtime.announcement import announce
from meshproxy.runtime.answers import answerer
from meshproxy.runtime.limits import limits_of
from meshproxy.runtime.server_filters import access_log, server_filters
from meshproxy.server.listener import Listener
from meshproxy.server.tls import server_context
from meshproxy.service import stack
from meshproxy.telemeters.recent_requests import RecentRequests
from meshproxy.telemeters.snapshots import Snapshots
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps


class CannotStart(Exception):
    """Something outside the configuration is in the way: a port, a certificate, a variable."""


class Linker:
    """Everything one configuration asks for, built but not listening until `start`.

    A worker leaves the admin server and the telemeters to its supervisor.
    Raises CannotStart, from the constructor too.
    """

    def __init__(
        self,
        config: LinkerConfig,
        environ: Mapping[str, str] = os.environ,
        shutdown: Callable[[float | None], None] | None = None,
        *,
        is_worker: bool = False,
    ) -> None:
        self.config = config
        self.metrics = Tree()
        self.ports: dict[str, list[int]] = {}
        """The ports listened on, by router label, once started."""
        self.admin_port = 0
        self.identifier_port = 0
        """The port that only names requests, if there is one."""
        self._environ = environ
        self._is_worker = is_worker
        self._shutdown = shutdown or self._close_soon
        self._resolver = Resolver(DnsSettings.of(config.dns), self.metrics)
        self._system = SystemNamers(self._resolver.resolve)
        try:
            self._namers = self._build_namers()
            self._telemeters: list[Telemeter] = [
                *(() if is_worker else (Snapshots(self.metrics),)),
                *(one.build(TelemeterDeps(self.metrics)) for one in config.telemetry),
            ]
            self.routers = [
                self._build_router(one)
                for one in config.routers
                if isinstance(one, HttpRouterConfig)
            ]
        except (ValueError, ProxyError) as error:
            raise CannotStart(str(error)) from error
        logs = {router.label: access_log(router) for router in self.routers}
        self._access_logs = {label: log for label, log in logs.items() if log is not None}
        self._servers: list[Listener] = []
        self._admins: list[Listener] = []
        self._sweepers: list[gevent.Greenlet] = []

    @classmethod
    def load(cls, text: str, name: str) -> "Linker":
        """Build the configuration in *text*; *name* is for messages. Raises ConfigErrors too."""
        return cls(load(text, name))

    @property
    def recent_requests(self) -> list[RecentRequests]:
        """The telemeters that keep requests."""
        return [one for one in self._telemeters if isinstance(one, RecentRequests)]

    def start(self) -> None:
        """Listen on every address of the configuration; nothing listens if one cannot be had."""
        started = time.monotonic()
        measure_process(self.metrics, lambda: time.monotonic() - started)
        try:
            for router in self.routers:
                ports = self.ports[router.label] = []
                for config in router.config.servers:
                    server = self._build_server(router, config)
                    self._servers.append(server)
                    ports.append(server.port)
            self._start_admin(lambda: time.monotonic() - started)
        except OSError as error:
            self.close(0)
            raise CannotStart(f"cannot listen on {error.strerror}") from error
        except ValueError as error:
            self.close(0)
            raise CannotStart(str(error)) from error
        for telemeter in self._telemeters:
            telemeter.start()
        for log in self._access_logs.values():
            log.start()
        for server in (*self._servers, *self._admins):
            server.start()
        self._sweepers = [gevent.spawn(_sweep_often, router) for router in self.routers]
        if not self._is_worker:
            announce(self.config, self.ports, self.admin_port)

    def explain_limits(self) -> list[str]:
        """A line for every limit of every server, in bytes and seconds."""
        return [
            f"{router.label} {server.ip}:{server.port} {field.name}: {value:g}"
            for router in self.routers
            for server in router.config.servers
            for field in fields(Limits)
            if isinstance(
                value := getattr(limits_of(router.config, server), field.name), int | float
            )
        ]

    def close(self, grace_seconds: float | None = None) -> bool:
        """Let running requests finish, then stop everything; whether all had finished in time."""
        if grace_seconds is None:
            grace_seconds = self.config.admin.shutdown_grace_ms / 1000
        closing = [gevent.spawn(server.close, grace_seconds) for server in self._servers]
        gevent.joinall(closing)
        finished = all(greenlet.value for greenlet in closing)
        gevent.killall(self._sweepers)
        for telemeter in self._telemeters:
            telemeter.close()
        for log in self._access_logs.values():
            log.close()
        for router in self.routers:
            router.binding.close()
        for admin in self._admins:
            admin.close(min(grace_seconds, 1.0))
        return finished

    def reopen_logs(self) -> None:
        """Open every access log again, after files were moved aside."""
        for log in self._access_logs.values():
            log.reopen()

    def _close_soon(self, grace_seconds: float | None) -> None:
        gevent.spawn(self.close, grace_seconds)

    def _build_namers(self) -> list[Namer]:
        namers: list[Namer] = []
        for config in self.config.namers:
            deps = self._deps(config.full_prefix(), namers)
            namer = config.build(deps)
            if config.transformers:
                namer = TransformedNamer(namer, self._transformers(config.transformers, namers))
            namers.append(namer)
        return namers

    def _transformers(
        self, configs: Sequence[TransformerConfig], namers: Sequence[Namer]
    ) -> list[Transformer]:
        return [
            config.build(self._deps(config.full_prefix(self._environ), namers))
            for config in configs
        ]

    def _deps(self, prefix: Path, namers: Sequence[Namer]) -> NamerDeps:
        return NamerDeps(
            prefix=prefix,
            metrics=self.metrics.scope("namer", prefix.drop(1).show()[1:]),
            resolver=self._resolver,
            bind=partial(DefaultInterpreter(namers, self._system).bind, Dtab()),
            environ=self._environ,
        )

    def _build_router(self, config: HttpRouterConfig) -> Router:
        load_contexts(config.client)
        metrics = self.metrics.scope("rt", config.name)
        interpreter = config.interpreter_or_default()
        bound: Interpreter = interpreter.build(
            InterpreterDeps(
                namers=self._namers,
                system=self._system,
                transformers=self._transformers(interpreter.transformers, self._namers),
                metrics=metrics.scope("interpreter"),
                environ=self._environ,
            )
        )
        return Router(config, bound, limits_of(config), metrics)

    def _build_server(self, router: Router, config: HttpServerConfig) -> Listener:
        limits = limits_of(router.config, config)
        metrics = router.metrics.scope("server", f"{config.ip}/{config.port}")
        log = self._access_logs.get(router.label)
        filters = server_filters(router, config, limits, metrics, log)
        recording = [
            telemeter.recording(router.label, f"{config.ip}/{config.port}")
            for telemeter in self.recent_requests
        ]
        return Listener(
            (config.ip, config.port),
            stack([*recording, *filters], router),
            answerer(limits, metrics, clear_context=config.clear_context),
            limits,
            config.max_connections,
            metrics,
            server_context(config.tls) if config.tls is not None else None,
            config.socket_options,
        )

    def _start_admin(self, uptime: Callable[[], float]) -> None:
        """Listen for admin pages, and for requests to name if there is a port for that."""
        config = self.config
        if not self._is_worker:
            admin = admin_listener(config, self.metrics, self._telemeters, self._shutdown, uptime)
            self._admins.append(admin)
            self.admin_port = admin.port
        identifier = identifier_listener(config.admin, self.routers, self.metrics)
        if identifier is not None:
            self._admins.append(identifier)
            self.identifier_port = identifier.port


def _sweep_often(router: Router) -> None:
    """Close what a router has not used for a while, for ever."""
    period = router.config.binding_cache.idle_ttl_secs
    while period:
        gevent.sleep(period)
        router.binding.sweep()
