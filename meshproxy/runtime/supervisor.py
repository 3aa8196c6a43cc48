"""The process above the workers, which serves no traffic.

It has what can exist only once: the addresses, the admin pages, the exporters. It shows the
workers' metrics as if one process had counted them.
"""

import json
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.socket import socket

from meshproxy.admin.discovery import PATH as DISCOVERY
from meshproxy.admin.endpoints import MARK
from meshproxy.admin.events import PATH as EVENTS
from meshproxy.admin.events import events_json
from meshproxy.admin.log_levels import PATH as LOG_LEVELS
from meshproxy.admin.log_levels import log_levels
from meshproxy.admin.overview import PATH as OVERVIEW
from meshproxy.admin.overview import Overview
from meshproxy.admin.pages import JSON, Action, AdminRequest, AdminResponse, shown
from meshproxy.admin.process import measure_process
from meshproxy.admin.recent_requests import requests_pages
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.metrics.report import Batch, Merged
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.runtime.addresses import Addresses, Ports, server_ports, worker_config
from meshproxy.runtime.admin import Controls, admin_parameters
from meshproxy.runtime.announcement import announce
from meshproxy.runtime.announcing import Announcing
from meshproxy.runtime.building import CannotStart, refused
from meshproxy.runtime.draining import Draining
from meshproxy.runtime.file_watch import FileWatch
from meshproxy.runtime.listen_addresses import Address, ListenAddress, admin_address
from meshproxy.runtime.log_rolling import LogRolling
from meshproxy.runtime.readiness import Readiness
from meshproxy.runtime.state import THREADS, threads_page
from meshproxy.runtime.telemetry import Telemetry
from meshproxy.runtime.worker_config import sent
from meshproxy.runtime.worker_pool import WorkerPool
from meshproxy.runtime.worker_process import WorkerProcess
from meshproxy.runtime.workers_pages import WorkersPages
from meshproxy.server.listener import Listener, ServerParameters
from meshproxy.server.listening import listen
from meshproxy.timeline import timeline


class Supervisor:
    """Runs the configured number of worker processes, with the interface of a `Linker`."""

    def __init__(
        self,
        config: LinkerConfig,
        shutdown: Callable[[float | None], None] | None = None,
        reload: Callable[[], str | None] | None = None,
        inherited: MutableMapping[Address, socket] | None = None,
    ) -> None:
        self.config = config
        self.metrics = Tree()
        self.readiness = Readiness()
        self._inherited = {} if inherited is None else inherited
        self._started_at = time.monotonic()
        self._recent = RecentRequests()
        self._announcing = Announcing(self.metrics)
        self._overview = Overview(
            self.metrics, self._uptime, self._why_not_ready, self._describe_workers, self._failing
        )
        own = {EVENTS: events_json(timeline), LOG_LEVELS: log_levels, THREADS: threads_page}
        self._pages = WorkersPages(self._ask, own)
        self._controls = Controls(
            shutdown or self._close_soon,
            reload,
            Draining(self.readiness, self._announcing),
            self._uptime,
            self._why_not_ready,
            refresh=self._refresh,
            pages={
                "/admin/workers.json": shown(self._workers_page),
                OVERVIEW: self._overview,
                **requests_pages(self._recent, self.metrics, self._refresh, self._watch),
                MARK: Action(self._pages),
            },
            elsewhere=self._pages,
        )
        self._addresses = Addresses(self._inherited)
        self.ports: dict[str, list[int]] = {}
        """The ports listened on, by router label, once started."""
        self._pool = WorkerPool(self._hear, self._addresses.listening, self.metrics)
        measure_process(self.metrics, self._uptime)
        self._merged = Merged(self.metrics)
        self._telemetry = Telemetry(config.telemetry, self.metrics, self._recent)
        self._rolling = LogRolling()
        self._admins: dict[ListenAddress, Listener] = {}
        """Admin listeners by address; all but one are ending."""
        self._files = FileWatch(self.metrics, self._admins.values)
        self._turn = BoundedSemaphore(1)
        """Allows one reload at a time."""

    @property
    def admin_port(self) -> int:
        """The port of the admin pages, once started."""
        return self._admins[admin_address(self.config)].port

    def start(self) -> None:
        """Serves with all workers. Raises CannotStart if that fails, and then serves nothing."""
        try:
            ports = self._addresses.take(self.config)
            parameters = self._admin_parameters(self.config, self._telemetry)
            listener = self._open_admin(self.config, parameters)
            self._rolling.follow(self.config)
            self._overview.start()
            self._telemetry.start()  # before anything is counted
            served = worker_config(self.config, ports, listener.port)
            self._pool.start(sent(served), self.config.workers or 1)
        except CannotStart:
            self.close(0)
            raise
        except OSError as error:
            self.close(0)
            raise CannotStart(f"cannot listen on {error.strerror}") from error
        listener.start()
        self._files.start()
        self._announce(ports)

    def reload(self, config: LinkerConfig) -> None:
        """Serves *config* from now on. Raises CannotStart, having changed nothing, if it cannot.

        One worker tries it, see `Linker.reload`; the others follow.
        """
        with self._turn:
            if self.readiness.is_ending:
                raise CannotStart("the process is ending")
            opened: Listener | None = None
            try:
                ports = self._addresses.take(config)
                telemetry = Telemetry(config.telemetry, self.metrics, self._recent, self._telemetry)
                parameters = self._admin_parameters(config, telemetry)
                if admin_address(config) not in self._admins:
                    opened = self._open_admin(config, parameters)
                admin_port = self._admins[admin_address(config)].port
                self._pool.reload(sent(worker_config(config, ports, admin_port)))
            except (CannotStart, OSError) as error:
                self._addresses.keep(self.config)
                if opened is not None:
                    self._admins.pop(admin_address(config)).close(0)
                if isinstance(error, CannotStart):
                    raise
                raise CannotStart(f"cannot listen on {error.strerror}") from error
            before, self.config = self.config, config
            self._addresses.keep(config)
            self._pool.resize(config.workers or 1)
            self._rolling.follow(config)
            self._telemetry = telemetry
            telemetry.start()
            self._move_admin(before, parameters, opened)
            self._announce(ports)

    def reopen_logs(self) -> None:
        """Has every access log reopened, after files were moved aside."""
        self._pool.reopen_logs()

    def withdraw(self) -> None:
        """Withdraws the servers' announcements, before they stop to serve."""
        self.readiness.is_ending = True
        self._announcing.close()

    def close(self, grace_seconds: float | None = None) -> bool:
        """Lets the workers finish and report once more. Returns True if all had finished."""
        self.withdraw()
        if grace_seconds is None:
            grace_seconds = self.config.admin.shutdown_grace_ms / 1000
        finished = self._pool.close(grace_seconds)
        self._rolling.close()
        self._telemetry.close()
        self._overview.close()
        self._files.close()
        for admin in self._admins.values():
            admin.close(min(grace_seconds, 1.0))
        self._addresses.close()
        return finished

    def kill(self) -> None:
        """Ends all workers at once."""
        self._pool.kill()

    def _hear(self, worker: WorkerProcess, message: list[Any] | None) -> None:
        """Handles a message of *worker*; None means that it has ended."""
        now = time.monotonic()
        match message:
            case ["counted", *batch]:
                self._merged.take(worker, Batch(*batch))
            case ["ended", list(ended), int(missed)]:
                self._recent.merge(ended, missed)
            case ["reported", *_]:
                self._merged.expire(now)
            case None:
                self._merged.leave(worker, now)

    def _admin_parameters(self, config: LinkerConfig, telemetry: Telemetry) -> ServerParameters:
        try:
            return admin_parameters(config, self.metrics, telemetry.telemeters, self._controls, {})
        except ValueError as error:
            raise refused(error, "admin.tls") from error

    def _open_admin(self, config: LinkerConfig, parameters: ServerParameters) -> Listener:
        """Opens the socket of the admin pages. Raises OSError if it cannot be bound."""
        address = admin_address(config)
        host_port = address.ip, address.port
        options = config.admin.socket_options or SocketOptionsConfig()
        sock = self._inherited.pop(host_port, None) or listen(host_port, options)
        listener = self._admins[address] = Listener(sock, parameters)
        return listener

    def _move_admin(
        self, before: LinkerConfig, parameters: ServerParameters, opened: Listener | None
    ) -> None:
        if opened is None:
            self._admins[admin_address(self.config)].adopt(parameters)
            return
        opened.start()
        gone = self._admins.pop(admin_address(before))
        gevent.spawn(gone.close, before.admin.shutdown_grace_ms / 1000)

    def _announce(self, ports: Ports) -> None:
        self.ports = server_ports(self.config, ports)
        announce(self.config, self.ports, self.admin_port)
        resolver = DnsResolver(DnsSettings.of(self.config.dns), Tree())
        self._announcing.follow(self.config, self.ports, resolver)

    def _ask(self, request: AdminRequest) -> Mapping[int, AdminResponse]:
        return self._pool.ask(request)

    def _watch(self) -> None:
        self._pool.watch()

    def _failing(self) -> list[dict[str, Any]]:
        answer = self._pages(AdminRequest("GET", DISCOVERY, {"failing": "1"}))
        found: list[dict[str, Any]] = (
            json.loads(answer.body)["names"] if answer.status == 200 else []
        )
        return found

    def _refresh(self) -> None:
        self._pool.refresh()

    def _why_not_ready(self) -> str | None:
        return self.readiness.why_not() or self._pool.why_not_ready()

    def _workers_page(self) -> tuple[str, bytes]:
        return JSON, json.dumps(self._describe_workers(), indent=2).encode()

    def _describe_workers(self) -> list[dict[str, Any]]:
        return self._pool.describe()

    def _uptime(self) -> float:
        return time.monotonic() - self._started_at

    def _close_soon(self, grace_seconds: float | None) -> None:
        gevent.spawn(self.close, grace_seconds)
