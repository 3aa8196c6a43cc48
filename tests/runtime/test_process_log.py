"""The process's log: from which level on, as text or JSON, and what nobody caught."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemons import START_S

ROOT = Path(__file__).parent.parent.parent
LOGGING = """
import logging, sys
from meshproxy.runtime.process_log import log_to_stderr, settings
log_to_stderr(*sys.argv[1:3], *map(int, sys.argv[3:]))
ours, other = logging.getLogger("meshproxy.a.b"), logging.getLogger("kubernetes")
"""


def logged(code: str, *settings: str) -> list[str]:
    """Run *code* in a process of its own that logs as *settings* say; the lines of its log."""
    ran = subprocess.run(
        [sys.executable, "-c", LOGGING + code, *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    return ran.stderr.splitlines()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["d", "i", "w", "e", "other w"]),
        ("info", ["i", "w", "e", "other w"]),
        ("warning", ["w", "e", "other w"]),
        ("error", ["e"]),
    ],
)
def test_a_level_is_ours_and_libraries_speak_from_warnings_on(
    level: str, expected: list[str]
) -> None:
    code = """
for name in ("debug", "info", "warning", "error"):
    getattr(ours, name)(name[0])
other.debug("other d")
other.info("other i")
other.warning("other w")
"""
    lines = logged(code, level, "json")
    assert [json.loads(line)["message"] for line in lines] == expected


def test_a_greenlet_that_logs_does_not_become_a_thread() -> None:
    code = """
from gevent import getcurrent, monkey
monkey.patch_all()
import threading
from greenlet import greenlet
living = [greenlet(lambda: (ours.info("logged"), getcurrent().parent.switch())) for _ in range(9)]
for one in living:
    one.switch()
ours.info("%d threads", threading.active_count())
"""
    *logged_before, last = logged(code, "info", "text")
    assert len(logged_before) == 9
    assert last.endswith(" 1 threads")


def test_text_has_time_level_and_message() -> None:
    (line,) = logged('ours.warning("%s is gone", "it")', "info", "text")
    date, time, *others = line.split(" ")
    assert (len(date), len(time)) == (len("2026-01-01"), len("00:00:00,000"))
    assert others == ["WARNING", "it", "is", "gone"]


def test_text_of_others_is_no_record_and_moves_no_cursor() -> None:
    lines = logged('ours.warning("%s", "a\\n2026-01-01 ERROR b\\r\\x1b[2Jc\\x85d")', "info", "text")
    assert [line[line.find("WARNING") :] for line in lines[:1]] == ["WARNING a"]
    assert lines[1:] == [r"  2026-01-01 ERROR b\x0d\x1b[2Jc\x85d"]


def test_text_has_the_traceback_indented() -> None:
    code = """
try:
    raise ValueError("a\\n2026-01-01 ERROR b")
except ValueError:
    ours.exception("no")
"""
    first, *lines = logged(code, "info", "text")
    assert first.endswith(" ERROR no")
    assert lines[0] == "  Traceback (most recent call last):"
    assert lines[-2:] == ["  ValueError: a", "  2026-01-01 ERROR b"]


def test_json_is_an_object_per_line() -> None:
    (line,) = logged('ours.warning("two\\nlines, %s", "\\x1b[31m")', "info", "json")
    found = json.loads(line)
    assert found.pop("time")[10::13] == "TZ"
    assert found == {
        "level": "warning",
        "logger": "meshproxy.a.b",
        "message": "two\nlines, \x1b[31m",
    }
    assert "\x1b" not in line


def test_json_has_the_traceback_and_the_stack() -> None:
    code = """
try:
    1 / 0
except ZeroDivisionError:
    ours.exception("no", stack_info=True)
"""
    (line,) = logged(code, "info", "json")
    found = json.loads(line)
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ZeroDivisionError: division by zero")
    assert found["stack"].startswith("Stack (most recent call last):\n")


def test_a_worker_is_named() -> None:
    assert logged('ours.info("up")', "info", "text", "3")[0].endswith(" INFO worker 3: up")
    assert json.loads(logged('ours.info("up")', "info", "json", "3")[0])["worker"] == 3


@pytest.mark.parametrize(
    "code",
    [
        "1 / 0",
        "import gevent; gevent.spawn(lambda: 1 / 0).join()",
        "type('A', (), {'__del__': lambda _: 1 / 0})()",
        """
import gevent
try:
    gevent.get_hub().threadpool.apply(lambda: 1 / 0)
except ZeroDivisionError:
    pass
""",
    ],
    ids=["the process", "a greenlet", "a finalizer", "a thread of the hub"],
)
def test_what_nobody_caught_is_a_record(code: str) -> None:
    (line,) = logged(code, "info", "json")
    found = json.loads(line)
    assert "ZeroDivisionError('division by zero')" in found["message"]
    assert found["exception"].endswith("ZeroDivisionError: division by zero")


def test_a_warning_of_python_is_a_record() -> None:
    (line,) = logged("import warnings; warnings.warn('soon gone')", "info", "json")
    found = json.loads(line)
    assert (found["level"], found["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: soon gone" in found["message"]


def test_what_ends_one_greenlet_after_another_is_one_record() -> None:
    code = "import gevent; gevent.joinall([gevent.spawn(lambda: 1 / 0) for _ in range(9)])"
    assert len(logged(code, "info", "json")) == 1


def test_what_urllib3_warns_of_is_told_by_others() -> None:
    assert logged('logging.getLogger("urllib3.connection").warning("no")', "info", "json") == []


@pytest.mark.parametrize("settings", [("debug", "text"), ("error", "json")])
def test_the_settings_are_told_to_workers(settings: tuple[str, str]) -> None:
    lines = logged("print(*settings(), file=sys.stderr)", *settings)
    assert lines == [" ".join(settings)]


def test_a_process_that_set_nothing_up_has_the_defaults() -> None:
    assert logging.getLogger("meshproxy").level == logging.NOTSET
    code = "from meshproxy.runtime.process_log import settings; print(*settings())"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "info text\n"


def test_levels_given_to_one_process_can_be_given_to_another() -> None:
    code = """
from meshproxy.runtime.process_log import levels, set_levels
set_levels({"root": "ERROR", "meshproxy.a": "DEBUG", "not.yet.there": "INFO"})
given = levels()
assert given["root"] == "ERROR" and given["not.yet.there"] == "INFO", given
assert "kubernetes" not in given, given
ours.debug("d")
logging.getLogger("kubernetes").warning("w")
"""
    lines = logged(code, "info", "json")
    assert [json.loads(line)["message"] for line in lines] == ["d"]
