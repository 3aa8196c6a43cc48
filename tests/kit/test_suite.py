"""`python -m tests` runs every file, remembers how long it took, and says what failed."""

from pathlib import Path

import pytest

from tests import __main__ as suite

GOOD = "def test_good(): pass\n"
BAD = "def test_bad(): raise AssertionError('as ever')\n"
ENDLESS = """
import signal

def test_endless():
    signal.pause()
"""
SLOW = """
import time

def test_slow():
    time.sleep(0.2)
"""
FLAKY = """
from pathlib import Path

def test_flaky():
    seen = Path(__file__).with_name("seen")
    assert seen.exists() or seen.touch()

def test_good():
    seen = Path(__file__).with_name("runs")
    seen.write_text(seen.read_text() + "x" if seen.exists() else "x")
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, with a directory `tests/room`."""
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "TESTS", tmp_path / "tests")
    monkeypatch.setattr(suite, "REMEMBERED", tmp_path / "remembered.json")
    monkeypatch.setattr(suite, "MEASURED", tmp_path / "measured.json")
    room = tmp_path / "tests" / "room"
    room.mkdir(parents=True)
    return room


def test_every_file_is_in_one_unit_and_the_longest_comes_first(tree: Path) -> None:
    files = [tree / f"test_{number:02}.py" for number in range(40)]
    for file in files:
        file.write_text(GOOD)
    seconds = {str(file.relative_to(suite.ROOT)): 1.0 for file in files}
    seconds |= {"tests/room/test_05.py": 60.0, "tests/room/test_12.py": 90.0}
    units = suite.units(reversed(files), seconds)
    assert sorted(file for unit in units for file in unit.files) == files
    assert [unit.seconds for unit in units] == [90, 60, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1]
    assert [unit.name for unit in units[1:3]] == [
        "tests/room/test_05.py",
        "tests/room/test_00.py and 3 more",
    ]


def test_a_file_takes_what_it_took_what_was_measured_or_a_guess_by_its_size(tree: Path) -> None:
    small = tree / "test_small.py"
    small.write_text("#" * 15_000)
    assert suite.expected(small, suite.recall()) == 1
    suite.MEASURED.write_text('{"tests/room/test_small.py": 3}')
    assert suite.expected(small, suite.recall()) == 3
    suite.REMEMBERED.write_text('{"tests/room/test_small.py": 2}')
    assert suite.expected(small, suite.recall()) == 2


def test_what_was_measured_is_of_files_that_are_there() -> None:
    measured = suite.read(suite.MEASURED)
    assert measured
    assert [file for file in measured if not (suite.ROOT / file).exists()] == []


def test_what_failed_is_told_and_the_seconds_are_remembered(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree / "test_bad.py").write_text(BAD)
    (tree / "test_slow.py").write_text(SLOW)
    assert suite.main([]) == 1
    took = suite.recall()
    assert took.keys() == {"tests/room/test_bad.py", "tests/room/test_slow.py"}
    assert took["tests/room/test_slow.py"] >= 0.2
    said = capfd.readouterr().out
    assert "AssertionError: as ever" in said
    assert said.splitlines()[-1] == "failed: tests/room/test_bad.py"
    assert suite.main(["--skip", "room"]) == 0


def test_what_failed_beside_others_may_pass_alone_if_asked(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree / "test_flaky.py").write_text(FLAKY)
    assert suite.main(["--again"]) == 0
    assert "once more" in capfd.readouterr().out
    assert (tree / "runs").read_text() == "x"
    (tree / "test_bad.py").write_text(BAD)
    assert suite.main(["--again"]) == 1


def test_a_unit_that_hangs_is_killed_and_has_failed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree / "test_endless.py").write_text(ENDLESS)
    monkeypatch.setattr(suite, "MOST_S", 3.0)
    assert suite.main([]) == 1
    assert "killed after 3 s" in capfd.readouterr().out
