"""The process above the workers, which serves no traffic.

It starts, watches and replaces them, and reports their numbers as one process would.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event

from meshproxy.admin.pages import JSON, AdminHandler, shown
from meshproxy.admin.process import measure_process
from meshproxy.backoff import equal_jitter
from meshproxy.config.schema import LinkerConfig
from meshproxy.metrics.report import Batch, Merged
from meshproxy.metrics.tree import Tree
from meshproxy.runtime.addresses import Addresses, Ports
from meshproxy.runtime.admin import admin_listener
from meshproxy.runtime.announcement import announce
from meshproxy.runtime.linker import CannotStart
from meshproxy.runtime.log_rolling import LogRolling
from meshproxy.runtime.worker_process import HUNG_S, WorkerProcess
from meshproxy.telemeters.recent_requests import RecentRequest, RecentRequests
from meshproxy.telemeters.snapshots import Snapshots
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps

_log = logging.getLogger(__name__)
START_S: Final = 60.0
REPORT_WAIT_S: Final = 0.5
"""A page with numbers waits so long for those of all workers, then shows what it has."""
STABLE_S: Final = 1.0
"""A worker that has served for so long is replaced at once, others after a backoff."""
_BACKOFF: Final = equal_jitter(0.1, 5.0)
_LAST_WORDS_S: Final = 3.0
"""For logs and the last report, after the grace period."""


class Supervisor:
    """Everything one configuration asks for, served by `config.workers` processes.

    *text* is where *config* was read from, *name* is what messages call it.
    """

    def __init__(
        self, config: LinkerConfig, text: str, name: str, shutdown: Callable[[float | None], None]
    ) -> None:
        self.config = config
        self.metrics = Tree()
        self.ports: dict[str, list[int]] = {}
        """The ports listened on, by router label, once started."""
        self.admin_port = 0
        self._text, self._name = text, name
        self._shutdown = shutdown
        self._started_at = time.monotonic()
        self._addresses = Addresses()
        self._shared = Ports([])
        self._workers: dict[int, WorkerProcess] = {}
        self._keepers: list[gevent.Greenlet] = []
        self._statuses: list[int] = []
        """Of workers that ended after they were told to."""
        self._ticker: gevent.Greenlet | None = None
        self._started: AsyncResult[None] = AsyncResult()
        self._closing = Event()
        self._rolling = LogRolling(config)
        self._telemeters: list[Telemeter] = [
            Snapshots(self.metrics),
            *(one.build(TelemeterDeps(self.metrics)) for one in config.telemetry),
        ]
        self._recent = [one for one in self._telemeters if isinstance(one, RecentRequests)]
        self._measure()
        self._merged = Merged(self.metrics)

    def start(self) -> None:
        """Start all workers, and report when every one serves. Raises CannotStart."""
        try:
            self._shared = self._addresses.take(self.config)
            self._admin = admin_listener(
                self.config,
                self.metrics,
                self._telemeters,
                self._shutdown,
                self._uptime,
                refresh=self.refresh,
                pages={"/admin/workers.json": self._page()},
            )
        except OSError as error:
            self._addresses.close()
            raise CannotStart(f"cannot listen on {error.strerror}") from error
        self._rolling.start()
        self._keepers = [gevent.spawn(self._keep, n) for n in range(self.config.workers or 1)]
        self._ticker = gevent.spawn(self._tick)
        try:
            self._started.get(timeout=START_S)
        except (CannotStart, gevent.Timeout) as error:
            self.close(0)
            raise CannotStart(str(error)) from error
        for router, ports in zip(self.config.routers, self._shared.servers, strict=True):
            self.ports[router.name] = ports
        for telemeter in self._telemeters:
            telemeter.start()
        self._admin.start()
        self.admin_port = self._admin.port
        announce(self.config, self.ports, self.admin_port)

    def refresh(self) -> None:
        """Get the numbers of all workers as they are now, or as they were a moment ago."""
        asked = [(worker, worker.ask()) for worker in self._workers.values()]
        deadline = time.monotonic() + REPORT_WAIT_S
        for worker, number in asked:
            worker.wait(number, deadline - time.monotonic())

    def reopen_logs(self) -> None:
        """Have every access log opened again, after files were moved aside."""
        for worker in self._workers.values():
            worker.channel.send("reopen")

    def close(self, grace_seconds: float | None = None) -> bool:
        """Drain and end all workers, report the last numbers; whether all requests finished."""
        self._closing.set()
        if grace_seconds is None:
            grace_seconds = self.config.admin.shutdown_grace_ms / 1000
        for worker in self._workers.values():
            if worker.served_at is None:
                worker.kill()
            else:
                worker.drain(grace_seconds)
        gevent.joinall(self._keepers, timeout=grace_seconds + _LAST_WORDS_S)
        self.kill()
        gevent.joinall(self._keepers)
        gevent.killall([one for one in (self._ticker,) if one is not None])
        self._rolling.close()
        for telemeter in self._telemeters:
            telemeter.close()
        self._admin.close(min(grace_seconds, 1.0))
        self._addresses.close()
        return not any(self._statuses)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers.values():
            worker.kill()

    def _keep(self, number: int) -> None:
        """Have a worker *number* for as long as we run."""
        waits = _BACKOFF()
        while not self._closing.is_set():
            delay = 0.0
            if self._run(number) >= STABLE_S:
                waits = _BACKOFF()
            else:
                delay = next(waits)
            if not self._closing.is_set():
                _log.info("starting another worker %d in %.1f s", number, delay)
                self._closing.wait(delay)

    def _run(self, number: int) -> float:
        """Run one worker to its end; the seconds it served."""
        try:
            worker = WorkerProcess(number)
        except OSError as error:
            _log.error("worker %d cannot be started: %s", number, error)
            return 0.0
        self._workers[number] = worker
        worker.begin(self._text, self._name, self._shared)
        while (message := worker.receive()) is not None:
            self._hear(worker, message)
        served = worker.served_seconds()
        self._ended(worker, worker.end())
        return served

    def _ended(self, worker: WorkerProcess, status: int) -> None:
        del self._workers[worker.number]
        self._merged.leave(worker, time.monotonic())
        if self._closing.is_set():
            self._statuses.append(status)
            return
        self._restarts.value += 1
        what = f"worker {worker.number} (pid {worker.pid}) ended with status {status}"
        if not self._started.ready():
            self._started.set_exception(CannotStart(f"{what} before it served"))
        elif worker.served_at is None:
            self._failed_starts.value += 1
            _log.error("%s before it served", what)
        else:
            _log.warning("%s", what)

    def _hear(self, worker: WorkerProcess, message: list[Any]) -> None:
        match message:
            case ["counted", *batch]:
                self._merged.take(worker, Batch(*batch))
            case ["requests", int(index), list(requests)]:
                self._recent[index].merge(RecentRequest(*one) for one in requests)
            case ["serving"]:
                _log.info("worker %d (pid %d) serves", worker.number, worker.pid)
                if self._serving() == self.config.workers and not self._started.ready():
                    self._started.set(None)
            case ["cannot start", str(why)]:
                if self._started.ready():
                    _log.error("worker %d cannot start: %s", worker.number, why)
                else:
                    self._started.set_exception(CannotStart(why))

    def _tick(self) -> None:
        while True:
            gevent.sleep(1)
            self._merged.expire(time.monotonic())
            for worker in self._workers.values():
                if not worker.watch():
                    _log.error("worker %d has been silent for %d s", worker.number, HUNG_S)
                    worker.kill()

    def _uptime(self) -> float:
        return time.monotonic() - self._started_at

    def _serving(self) -> int:
        return sum(worker.state == "serving" for worker in self._workers.values())

    def _measure(self) -> None:
        """Count what is the supervisor's own."""
        measure_process(self.metrics, self._uptime)
        scope = self.metrics.scope("workers")
        scope.gauge("serving", fn=self._serving)
        self._restarts = scope.counter("restarts")
        self._failed_starts = scope.counter("failed_starts")

    def _page(self) -> AdminHandler:
        def describe() -> tuple[str, bytes]:
            workers = [
                {
                    "worker": worker.number,
                    "pid": worker.pid,
                    "state": worker.state,
                    "uptime": round((time.monotonic() - worker.started_at) * 1000),
                }
                for _, worker in sorted(self._workers.items())
            ]
            return JSON, json.dumps(workers, indent=2).encode()

        return shown(describe)
