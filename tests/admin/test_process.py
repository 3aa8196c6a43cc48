import resource
from pathlib import Path

import pytest

from meshproxy.admin import process
from meshproxy.admin.process import measure_process, open_descriptors, resident_bytes
from meshproxy.metrics.tree import Tree


def test_the_process_is_measured_when_asked() -> None:
    tree = Tree()
    measure_process(tree, lambda: 2.0)
    assert tree.gauge("process", "uptime").read() == 2000
    assert tree.gauge("process", "up").read() == 1
    assert 1e6 < tree.gauge("process", "rss").read() < 1e10
    assert tree.gauge("process", "threads").read() >= 1
    assert tree.gauge("process", "cpu_ms").read() > 0


def test_open_files_are_counted() -> None:
    tree = Tree()
    measure_process(tree, lambda: 0.0)
    fds = tree.gauge("process", "fds")
    before = fds.read()
    with Path(__file__).open():
        assert fds.read() == before + 1


def test_open_files_are_counted_when_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_FDS", Path("/nowhere"))
    assert open_descriptors() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_memory_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STATM", Path("/nowhere"))
    assert 1e6 < resident_bytes() < 1e10
