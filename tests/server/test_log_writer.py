"""Lines are written behind the back of who has them."""

import logging
import os
from pathlib import Path

import gevent
import pytest

from meshproxy.config.rolling import RollPolicy
from meshproxy.metrics.tree import Tree
from meshproxy.server.log_file import LogFile
from meshproxy.server.log_writer import LogWriter
from tests.kit.k8s import wait_until

NEVER = RollPolicy()


def log(path: Path) -> LogFile:
    return LogFile(str(path), NEVER)


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    path, metrics = tmp_path / "a.log", Tree()
    writer = LogWriter(log(path), metrics)
    writer.start()
    wait_until(path.exists)
    for number in range(100):
        writer.write(b"%d\n" % number)
    wait_until(lambda: path.read_text().count("\n") == 100)
    assert path.read_text() == "".join(f"{number}\n" for number in range(100))
    assert metrics.counter("failures").value == 0
    writer.close()


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writer = LogWriter(log(path), Tree())
    writer.start()
    for _ in range(2):
        gevent.idle()
        writer.write(b"a\n")
    writer.close()
    assert path.read_text() == "a\na\n"


def test_failures_are_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, metrics = tmp_path / "gone", Tree()
    failures = metrics.counter("failures")
    writer = LogWriter(log(folder / "a.log"), metrics)
    with caplog.at_level(logging.INFO):
        writer.start()
        for number in range(3):
            writer.write(b"lost\n")
            wait_until(lambda wanted=number + 1: failures.value == wanted)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        folder.mkdir()
        writer.write(b"kept\n")
        wait_until((folder / "a.log").exists)
        writer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert (folder / "a.log").read_text() == "kept\n"
    assert failures.value == 3


def test_a_disk_that_does_not_answer_delays_nobody(tmp_path: Path) -> None:
    """A pipe without a reader cannot be opened for writing: whoever tries is stuck."""
    path, metrics = tmp_path / "pipe", Tree()
    os.mkfifo(path)
    writer = LogWriter(log(path), metrics, queue_bytes=10)
    writer.start()
    for number in range(7):
        writer.write(b"%d\n" % number)
    assert metrics.counter("failures").value == 2
    gevent.idle()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer.close()
        assert os.read(reader, 100) == b"0\n1\n2\n3\n4\n"
    finally:
        os.close(reader)


def test_a_file_moved_aside_is_let_go_of_when_asked(tmp_path: Path) -> None:
    path, moved = tmp_path / "a.log", tmp_path / "moved"
    writer = LogWriter(log(path), Tree())
    writer.start()
    wait_until(path.exists)
    path.rename(moved)
    writer.reopen()
    wait_until(path.exists)
    writer.close()
    assert moved.read_text() == ""


def test_a_line_after_the_end_is_lost_and_counted(tmp_path: Path) -> None:
    metrics = Tree()
    writer = LogWriter(log(tmp_path / "a.log"), metrics)
    writer.start()
    writer.close()
    writer.write(b"late\n")
    assert metrics.counter("failures").value == 1
