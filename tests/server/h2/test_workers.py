"""Greenlets that serve one stream after the other."""

import weakref
from collections.abc import Callable

import gevent
import pytest
from gevent import get_hub, getcurrent
from gevent.event import Event

from meshproxy.server.h2 import workers
from tests.kit.h2_wire import until


def in_hub(callback: Callable[[], object]) -> None:
    """Call *callback* in the hub, and wait for it."""
    done: list[None] = []

    def call() -> None:
        done.append(None)
        callback()

    get_hub().loop.run_callback(call)
    until(lambda: done)


def test_a_worker_is_used_again() -> None:
    seen: list[object] = []
    for _ in range(3):
        in_hub(lambda: workers.run(lambda: seen.append(getcurrent())))
    assert len(seen) == 3
    assert len(set(map(id, seen))) == 1


def test_a_worker_may_wait() -> None:
    seen: list[str] = []
    go_on = Event()

    def waits() -> None:
        go_on.wait()
        seen.append("waited")

    in_hub(lambda: workers.run(waits))
    in_hub(lambda: workers.run(lambda: seen.append("at once")))
    until(lambda: seen == ["at once"])
    go_on.set()
    until(lambda: seen == ["at once", "waited"])


def test_a_late_switch_begins_nothing() -> None:
    seen: list[object] = []
    in_hub(lambda: workers.run(lambda: seen.append(getcurrent())))
    (worker,) = seen
    in_hub(worker.switch)  # type: ignore[attr-defined]
    in_hub(lambda: workers.run(lambda: seen.append(getcurrent())))
    assert seen == [worker, worker]


def test_an_exception_is_logged_and_ends_nothing_else(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("for the log")

    seen: list[str] = []

    def both() -> None:
        workers.run(fails)
        workers.run(lambda: seen.append("served"))

    in_hub(both)
    assert seen == ["served"]
    told = caplog.text or capsys.readouterr().err  # where a proxy has run before, it logs these
    assert "for the log" in told


def test_there_are_only_so_many_idle_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_IDLE", 2)
    monkeypatch.setattr(workers, "_idle", [])
    go_on = gevent.event.Event()
    for _ in range(5):
        in_hub(lambda: workers.run(go_on.wait))
    go_on.set()
    until(lambda: len(workers._idle) == 2)


def test_an_idle_worker_holds_nothing_of_what_it_has_done() -> None:
    class Work:
        def __call__(self) -> None: ...

    for _ in range(2):
        work = Work()
        seen = weakref.ref(work)
        in_hub(lambda work=work: workers.run(work))  # type: ignore[misc]
        del work
        until(lambda seen=seen: seen() is None)  # type: ignore[misc]
