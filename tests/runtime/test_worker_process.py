"""One worker, a real process, seen from above."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from meshproxy.config.load import load
from meshproxy.runtime.worker_config import sent
from meshproxy.runtime.worker_process import HUNG_S, SILENT_S, WorkerProcess
from tests.e2e.test_routing import config

Start = Callable[[str], WorkerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def begin(text: str) -> WorkerProcess:
        started.append(WorkerProcess(7, sent(load(text, "a.yaml")), {}))
        return started[-1]

    yield begin
    for worker in started:
        worker.kill()
        worker.end()


def until(worker: WorkerProcess, first: str) -> list[Any]:
    """Take messages up to the one that begins with *first*."""
    while (message := worker.receive()) is not None:
        if message[0] == first:
            return message
    raise AssertionError(f"it ended and never said {first}")


def test_it_serves_reports_when_asked_and_drains(start: Start) -> None:
    worker = start(config(1))
    assert (worker.state, worker.has_served, worker.served_s) == ("starting", False, 0.0)
    until(worker, "serving")
    assert (worker.state, worker.has_served) == ("serving", True)
    assert os.getpgid(worker.pid) == worker.pid, "a terminal's signals would reach it"
    number = worker.ask()
    while until(worker, "reported")[1] != number:
        pass
    worker.wait(number, 0.0)
    assert worker.why_not_ready is None
    worker.drain(1.0)
    assert worker.state == "draining"
    while worker.receive() is not None:
        pass
    assert worker.end() == 0


def test_it_says_why_it_cannot_start(start: Start) -> None:
    worker = start(config(1) + "namers: [{kind: io.l5d.k8s.ns, envVar: UNSET_HERE}]\n")
    assert "namers[0]: io.l5d.k8s.ns needs the environment" in until(worker, "cannot start")[1]
    assert worker.receive() is None
    assert worker.end() == 1


def test_a_worker_without_a_supervisor_ends(start: Start) -> None:
    worker = start(config(1))
    until(worker, "serving")
    assert worker.end() == 0


def test_silence_is_counted_and_ends_with_the_next_word(start: Start) -> None:
    worker = start(config(1))
    until(worker, "serving")
    assert [worker.is_hung() for _ in range(SILENT_S)] == [False] * SILENT_S
    assert worker.state == "silent"
    until(worker, "reported")
    assert worker.state == "serving"
    os.kill(worker.pid, signal.SIGSTOP)
    assert [worker.is_hung() for _ in range(HUNG_S)] == [False] * (HUNG_S - 1) + [True]
    worker.wait(worker.ask(), 0.05)
    worker.kill()
    assert worker.end() == -signal.SIGKILL


def test_one_that_has_ended_cannot_reload_and_keeps_nobody_waiting(start: Start) -> None:
    worker = start(config(1))
    until(worker, "serving")
    os.kill(worker.pid, signal.SIGKILL)
    while worker.receive() is not None:
        pass
    with gevent.Timeout(10):
        worker.wait(worker.ask(), 60.0)
    assert worker.reload({}) is not None
