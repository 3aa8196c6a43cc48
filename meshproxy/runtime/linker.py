"""A running proxy: its listening sockets, and the present generation of its configuration.

linkerd: linkerd/core/src/main/scala/io/buoyant/linkerd/Linker.scala
"""

import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Group
from gevent.socket import socket

from meshproxy.admin.overview import PATH as OVERVIEW
from meshproxy.admin.overview import Overview
from meshproxy.admin.pages import Admin, AdminRequest, AdminResponse
from meshproxy.admin.process import measure_process
from meshproxy.admin.recent_requests import requests_pages
from meshproxy.config.load import load
from meshproxy.config.schema import LinkerConfig
from meshproxy.discovery.own_addresses import is_own
from meshproxy.metrics.tree import Tree
from meshproxy.protocols.protocol import ServedRouter
from meshproxy.recent.requests import RecentRequests
from meshproxy.router.own_listeners import OwnListeners
from meshproxy.runtime.admin import Controls, admin_parameters, identifier_parameters
from meshproxy.runtime.announcement import announce
from meshproxy.runtime.announcing import Announcing
from meshproxy.runtime.building import CannotStart, refused
from meshproxy.runtime.draining import Draining
from meshproxy.runtime.file_watch import FileWatch
from meshproxy.runtime.generation import Generation
from meshproxy.runtime.listen_addresses import (
    Address,
    ListenAddress,
    admin_address,
    identifier_address,
    open_sockets,
    own_listeners,
)
from meshproxy.runtime.readiness import Readiness
from meshproxy.runtime.state import state_pages
from meshproxy.runtime.telemetry import Telemetry
from meshproxy.server.listener import Listener, ServerParameters
from meshproxy.server.log_writer import LogWriter

_LAST_SECONDS = 3.0
"""Time for logs and exporters of earlier generations to write what they have."""


class Linker:
    """Serves one configuration, and another one after each `reload`; listens from `start` on.

    Sockets are taken from *inherited*, by address, before any is bound. *shutdown* and *reload*
    are called by the admin pages of these names; without *reload* there is no such page. A worker
    leaves the admin pages to its supervisor.
    Raises CannotStart, also from the constructor.
    """

    def __init__(
        self,
        config: LinkerConfig,
        environ: Mapping[str, str] = os.environ,
        shutdown: Callable[[float | None], None] | None = None,
        reload: Callable[[], str | None] | None = None,
        inherited: MutableMapping[Address, socket] | None = None,
        *,
        is_worker: bool = False,
    ) -> None:
        self.metrics = Tree()
        self.readiness = Readiness()
        self.recent = RecentRequests()
        self._is_worker = is_worker
        self._inherited = {} if inherited is None else inherited
        self._started = time.monotonic()
        self._announcing = Announcing(self.metrics)
        self._overview = Overview(
            self.metrics, self._uptime, self.readiness.why_not, failing=self._failing
        )
        self._controls = Controls(
            shutdown or self._close_soon,
            reload,
            Draining(self.readiness, self._announcing),
            self._uptime,
            self.readiness.why_not,
            pages={OVERVIEW: self._overview, **requests_pages(self.recent, self.metrics)},
        )
        self._own = OwnListeners(is_own)
        self._build = partial(Generation, environ=environ, own=self._own, recent=self.recent)
        self._generation: Generation = self._build(config, self.metrics)
        self._listeners: dict[ListenAddress, Listener] = {}
        self._draining = Group()
        """The closing of listeners that a reload removed."""
        self._retiring = Group()
        """The ending of other parts of earlier generations."""
        self._exporting: gevent.Greenlet | None = None
        self._files = FileWatch(self.metrics, self._listeners.values, lambda: self.routers)
        self._is_over = Event()
        """Set when the last request has ended."""

    @classmethod
    def load(cls, text: str, name: str) -> "Linker":
        """Builds the configuration in *text*; *name* is for messages. Raises ConfigErrors too."""
        return cls(load(text, name))

    @property
    def config(self) -> LinkerConfig:
        """The present configuration."""
        return self._generation.config

    @property
    def routers(self) -> list[ServedRouter]:
        """The routers of the present configuration."""
        return self._generation.routers

    @property
    def telemetry(self) -> Telemetry:
        """The exporters of the present configuration."""
        return self._generation.telemetry

    @property
    def ports(self) -> dict[str, list[int]]:
        """The ports listened on, by router label, once started."""
        return {
            router.config.name: [
                self._listeners[ListenAddress.of_server(router.config, index)].port
                for index in range(len(router.config.servers))
            ]
            for router in self.routers
            if self._listeners
        }

    @property
    def admin_port(self) -> int:
        """The port of the admin pages, once started."""
        return self._port(admin_address(self.config))

    def start(self) -> None:
        """Listens on every address of the configuration, or on none if one cannot be bound."""
        self._started = time.monotonic()
        measure_process(self.metrics, self._uptime)
        parameters = self._parameters(self._generation, self.metrics)
        sockets = self._open(self.config)
        self._generation.start()
        self.telemetry.start()
        if not self._is_worker:
            self._overview.start()
        self._listen(parameters, sockets)
        self._files.start()

    def reload(self, config: LinkerConfig) -> None:
        """Serves *config* from now on. Raises CannotStart, having changed nothing, if it cannot.

        The configuration is built on the side first, so that its faults are found before anything
        changes; then new addresses are bound. After that it takes over at once: for new requests,
        also on open connections. Running requests finish as they began; those of removed servers
        have `shutdownGraceMs` to do so. What does not change is kept, see `Generation`.
        """
        if self.readiness.is_ending:
            raise CannotStart("the process is ending")
        aside = Tree()
        self._parameters(self._build(config, aside), aside)
        sockets = self._open(config)
        before = self._generation
        try:
            after = self._build(config, self.metrics, before=before)
            parameters = self._parameters(after, self.metrics)
        except CannotStart:  # a file has changed in between
            for sock in sockets.values():
                sock.close()
            raise
        self._generation = after
        after.start(before)
        gone = self._listen(parameters, sockets)
        self._wind_up(before, gone)

    def reopen_logs(self) -> None:
        """Reopens every access log, after files were moved aside."""
        for log in self._generation.logs.values():
            log.reopen()

    def explain_limits(self) -> list[str]:
        """Returns a line for every limit of every server, in bytes and seconds."""
        return [line for router in self.routers for line in router.explain_limits()]

    def answer(self, request: AdminRequest) -> AdminResponse:
        """Returns the response to a supervisor's question about the state of this process."""
        return Admin(state_pages(self._generation.naming, self.routers))(request)

    def withdraw(self) -> None:
        """Withdraws the servers' announcements, before they stop to serve."""
        self.readiness.is_ending = True
        self._announcing.close()

    def close(self, grace_seconds: float | None = None) -> bool:
        """Lets running requests finish, then stops everything. Returns True if all had finished."""
        self.withdraw()
        if grace_seconds is None:
            grace_seconds = self.config.admin.shutdown_grace_ms / 1000
        pages = {admin_address(self.config), identifier_address(self.config)}
        servers = [one for address, one in self._listeners.items() if address not in pages]
        closing = [self._draining.spawn(server.close, grace_seconds) for server in servers]
        self._draining.join(timeout=grace_seconds)
        self._draining.kill()
        self._is_over.set()
        self._retiring.join(timeout=_LAST_SECONDS)
        self._retiring.kill()
        self.readiness.close()
        self._overview.close()
        self._files.close()
        self._generation.close()
        for admin in self._listeners.keys() & pages:
            self._listeners[admin].close(min(grace_seconds, 1.0))
        return all(greenlet.value is True for greenlet in closing)

    def _failing(self) -> list[dict[str, Any]]:
        return self._generation.naming.failing()

    def _close_soon(self, grace_seconds: float | None) -> None:
        gevent.spawn(self.close, grace_seconds)

    def _uptime(self) -> float:
        return time.monotonic() - self._started

    def _port(self, address: ListenAddress | None) -> int:
        return self._listeners[address].port if address and address in self._listeners else 0

    def _parameters(
        self, generation: Generation, metrics: Tree
    ) -> dict[ListenAddress, ServerParameters]:
        """Returns the parameters for each address of *generation*. Raises CannotStart."""
        config, parameters = generation.config, dict(generation.servers)
        telemeters = generation.telemetry.telemeters
        identifier = identifier_address(config)
        try:
            if not self._is_worker:
                state = state_pages(generation.naming, generation.routers)
                admin = admin_parameters(config, metrics, telemeters, self._controls, state)
                parameters[admin_address(config)] = admin
            if identifier is not None:
                parameters[identifier] = identifier_parameters(
                    config.admin, generation.routers, metrics
                )
        except ValueError as error:
            raise refused(error, "admin.tls") from error
        return parameters

    def _open(self, config: LinkerConfig) -> dict[ListenAddress, socket]:
        elsewhere = {admin_address(config)} if self._is_worker else ()
        try:
            return open_sockets(config, {*self._listeners, *elsewhere}, self._inherited)
        except OSError as error:
            raise CannotStart(f"cannot listen on {error.strerror}") from error

    def _listen(
        self,
        parameters: Mapping[ListenAddress, ServerParameters],
        sockets: Mapping[ListenAddress, socket],
    ) -> list[Listener]:
        """Applies *parameters*, with *sockets* for new listeners; returns the removed listeners."""
        for address, one in parameters.items():
            if address in sockets:
                self._listeners[address] = listener = Listener(sockets[address], one)
                listener.start()
            else:
                self._listeners[address].adopt(one)
        gone = [
            self._listeners.pop(address) for address in self._listeners.keys() - parameters.keys()
        ]
        ports = {address: listener.port for address, listener in self._listeners.items()}
        self._own.replace(own_listeners(self.config, ports))
        dtabs = [router.config.dtab for router in self.routers]
        self.readiness.watch(self._generation.naming.namers, dtabs)
        if not self._is_worker:
            announce(self.config, self.ports, self.admin_port)
            self._announcing.follow(self.config, self.ports, self._generation.resolver)
        return gone

    def _wind_up(self, before: Generation, gone: list[Listener]) -> None:
        """Ends in the background what only running requests of *before* still use."""
        before.retire(self._generation)
        grace_seconds = before.config.admin.shutdown_grace_ms / 1000
        for listener in gone:
            self._draining.spawn(listener.close, grace_seconds)
        for log in set(before.logs.values()) - set(self._generation.logs.values()):
            self._retiring.spawn(self._close_log, log, grace_seconds)
        self._exporting = self._retiring.spawn(self.telemetry.start_after, self._exporting)

    def _close_log(self, log: LogWriter, grace_seconds: float) -> None:
        """Closes *log* when all that may write to it have ended."""
        self._is_over.wait(grace_seconds)
        log.close()
