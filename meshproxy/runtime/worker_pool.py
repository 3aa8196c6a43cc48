"""The workers of a supervisor: starts, watches and replaces them one by one."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event
from gevent.socket import socket

from meshproxy.admin.pages import AdminRequest, AdminResponse
from meshproxy.backoff import equal_jitter
from meshproxy.metrics.tree import Tree
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.listen_addresses import Address
from meshproxy.runtime.worker_process import HUNG_S, WorkerProcess
from meshproxy.timeline import Kind, timeline

_log = logging.getLogger(__name__)
START_S: Final = 60.0
REPORT_WAIT_S: Final = 0.5
"""Longest wait for the reports of all workers before metrics are shown."""
ANSWER_S: Final = 3.0
"""Longest wait for the workers' answers to a question of an admin page."""
STABLE_S: Final = 1.0
"""A worker that served for this long is replaced at once, others after a backoff."""
_BACKOFF: Final = equal_jitter(0.1, 5.0)
_LAST_WORDS_S: Final = 5.0
"""Time for logs and the last report after the grace period."""

Hear = Callable[[WorkerProcess, list[Any] | None], None]
"""Handles a message of a worker; None after the last one."""


class WorkerPool:
    """Workers that serve the same configuration, which they get as `worker_config` has it.

    Their messages go to *hear*. They also accept from *listening*.
    """

    def __init__(self, hear: Hear, listening: Mapping[Address, socket], metrics: Tree) -> None:
        self._hear = hear
        self._listening = listening
        self._config: Mapping[str, Any] = {}
        self._wanted = 0
        self._workers: dict[int, WorkerProcess] = {}
        self._keepers: dict[int, gevent.Greenlet] = {}
        self._statuses: list[int] = []
        """Exit statuses of the workers that ended on request."""
        self._started: AsyncResult[None] = AsyncResult()
        self._was_ready = False
        self._closing = Event()
        self._watching: gevent.Greenlet | None = None
        scope = metrics.scope("workers")
        scope.gauge("serving", fn=self._serving)
        self._restarts = scope.counter("restarts")
        self._failed_starts = scope.counter("failed_starts")

    def start(self, config: Mapping[str, Any], number: int) -> None:
        """Runs *number* workers that serve *config*. Raises CannotStart if one does not."""
        self._config = config
        self.resize(number)
        self._watching = gevent.spawn(self._watch)
        try:
            self._started.get(timeout=START_S)
        except gevent.Timeout:
            raise CannotStart(f"the workers do not serve within {START_S:g} s") from None

    def resize(self, number: int) -> None:
        """Runs *number* workers from now on; surplus ones finish and end."""
        self._wanted = number
        for one in range(number):
            keeper = self._keepers.get(one)
            if keeper is None or keeper.dead:
                self._keepers[one] = gevent.spawn(self._keep, one)
        for worker in self._workers.values():
            if worker.number >= number:
                worker.drain(None)

    def reload(self, config: Mapping[str, Any]) -> None:
        """Makes all workers serve *config*. The first one tries; if it fails, raises CannotStart.

        Then nothing has changed. A worker that fails after the first one succeeded is replaced.
        """
        first = next((one for one in self._workers.values() if one.state == "serving"), None)
        if first is None:
            raise CannotStart("no worker is running that could try the configuration")
        if (why_not := first.reload(config)) is not None:
            raise CannotStart(why_not)
        self._config = config
        others = [one for one in self._workers.values() if one is not first]
        following = [one for one in others if one.state != "draining"]
        gevent.joinall([gevent.spawn(self._follow, one, config) for one in following])

    def refresh(self) -> None:
        """Gets the present metrics of all workers, or those of a moment ago."""
        answering = [worker for worker in self._workers.values() if worker.state != "silent"]
        asked = [(worker, worker.ask()) for worker in answering]
        deadline = time.monotonic() + REPORT_WAIT_S
        for worker, number in asked:
            worker.wait(number, deadline - time.monotonic())

    def ask(self, request: AdminRequest) -> dict[int, AdminResponse]:
        """Asks all workers. Returns the answers by worker that arrive within `ANSWER_S`."""
        serving = [one for _, one in sorted(self._workers.items()) if one.state == "serving"]
        asked = [(worker.number, worker.questions.ask(request)) for worker in serving]
        deadline = time.monotonic() + ANSWER_S
        answers: dict[int, AdminResponse] = {}
        for number, wait in asked:
            if (answer := wait(max(deadline - time.monotonic(), 0))) is not None:
                answers[number] = answer
        return answers

    def watch(self) -> None:
        """Has all workers tell every request that ends within some seconds."""
        for worker in self._workers.values():
            worker.watch()

    def reopen_logs(self) -> None:
        """Has every access log reopened, after files were moved aside."""
        for worker in self._workers.values():
            worker.reopen_logs()

    def why_not_ready(self) -> str | None:
        """Returns why the workers are not ready: one still waits for its namers, or none serves."""
        if not self._serving():
            return "no worker serves"
        if not self._was_ready:
            for worker in self._workers.values():
                if worker.why_not_ready is not None:
                    return f"worker {worker.number}: {worker.why_not_ready}"
            self._was_ready = True
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Returns the state of each worker."""
        return [worker.describe() for _, worker in sorted(self._workers.items())]

    def close(self, grace_seconds: float) -> bool:
        """Lets all finish and end; kills those that do not. Returns True if all had finished."""
        self._closing.set()
        for worker in self._workers.values():
            worker.drain(grace_seconds)
        keepers = list(self._keepers.values())
        gevent.joinall(keepers, timeout=grace_seconds + _LAST_WORDS_S)
        self.kill()
        gevent.joinall(keepers)
        if self._watching is not None:
            self._watching.kill()
        return not any(self._statuses)

    def kill(self) -> None:
        """Ends all workers at once."""
        for worker in self._workers.values():
            worker.kill()

    def _keep(self, number: int) -> None:
        """Keeps a worker *number* running as long as it is wanted."""
        waits = _BACKOFF()
        while self._wants(number):
            delay = 0.0
            if self._run(number) >= STABLE_S:
                waits = _BACKOFF()
            else:
                delay = next(waits)
            if self._wants(number):
                self._restarts.value += 1
                _log.info("starting another worker %d in %.1f s", number, delay)
                self._closing.wait(delay)

    def _wants(self, number: int) -> bool:
        return number < self._wanted and not self._closing.is_set()

    def _run(self, number: int) -> float:
        """Runs a worker *number* to its end. Returns the seconds it served."""
        config = self._config
        try:
            worker = WorkerProcess(number, config, self._listening)
        except OSError as error:
            self._failed_starts.value += 1
            _log.error("worker %d cannot be started: %s", number, error)
            return 0.0
        self._workers[number] = worker
        if not self._wants(number):  # starting it took a moment
            worker.kill()
        elif self._config is not config:
            gevent.spawn(self._follow, worker, self._config)
        while (message := worker.receive()) is not None:
            try:
                self._take(worker, message)
            except (KeyError, TypeError, ValueError):
                _log.exception("worker %d is killed, it sent an invalid message", number)
                worker.kill()
        served_s = worker.served_s
        self._ended(worker, worker.end())
        return served_s

    def _take(self, worker: WorkerProcess, message: list[Any]) -> None:
        match message:
            case ["serving"]:
                _log.info("worker %d (pid %d) serves", worker.number, worker.pid)
                _note(worker.number, f"serves, as process {worker.pid}")
                if self._serving() == self._wanted:
                    self._started.set(None)
            case ["cannot start", str(why)]:
                if self._started.successful():
                    _log.error("worker %d cannot start: %s", worker.number, why)
                    _note(worker.number, f"cannot start: {why}")
                else:
                    self._started.set_exception(CannotStart(why))
            case ["answer", *_]:
                pass  # the worker's questions have it
            case _:
                self._hear(worker, message)

    def _ended(self, worker: WorkerProcess, status: int) -> None:
        del self._workers[worker.number]
        self._hear(worker, None)
        if self._closing.is_set():
            self._statuses.append(status)
            return
        what = f"worker {worker.number} (pid {worker.pid}) ended with status {status}"
        if not self._started.ready():
            self._started.set_exception(CannotStart(f"{what} before it served"))
        if not self._started.successful():
            return
        _note(worker.number, f"ended with status {status}")
        if not worker.has_served:
            self._failed_starts.value += 1
            _log.error("%s before it served", what)
        else:
            _log.warning("%s", what)

    def _follow(self, worker: WorkerProcess, config: Mapping[str, Any]) -> None:
        if (why_not := worker.reload(config)) is not None:
            _log.error("worker %d is replaced, it cannot reload: %s", worker.number, why_not)
            _note(worker.number, f"replaced, it cannot reload: {why_not}")
            worker.drain(None)

    def _watch(self) -> None:
        while True:
            gevent.sleep(1)
            for worker in list(self._workers.values()):
                if worker.is_hung():
                    _log.error("worker %d is killed, it was silent for %d s", worker.number, HUNG_S)
                    _note(worker.number, f"killed, it was silent for {HUNG_S} s")
                    worker.kill()

    def _serving(self) -> int:
        return sum(worker.state == "serving" for worker in self._workers.values())


def _note(number: int, what: str) -> None:
    timeline.note(Kind.WORKER, f"worker {number}", what)
