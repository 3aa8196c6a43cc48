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
    monkeypatch.setattr(suite, "REMEMBERED", tmp_path / "seconds.json")
    room = tmp_path / "tests" / "room"
    room.mkdir(parents=True)
    return room


def test_every_file_is_in_one_unit_and_the_longest_comes_first(tree: Path) -> None:
    files = [tree / f"test_{number:02}.py" for number in range(20)]
    for file in files:
        file.write_text(GOOD)
    seconds = {str(file.relative_to(suite.ROOT)): 1.0 for file in files}
    seconds |= {"tests/room/test_05.py": 60.0, "tests/room/test_12.py": 90.0}
    units = suite.units(reversed(files), seconds)
    assert sorted(file for unit in units for file in unit.files) == files
    assert [unit.seconds for unit in units] == [90, 60, 7, 7, 4]
    assert [unit.name for unit in units[1:3]] == [
        "tests/room/test_05.py",
        "tests/room/test_00.py and 6 more",
    ]


def test_a_file_that_has_not_run_is_judged_by_its_size_and_room(tree: Path) -> None:
    whole = tree.parent / "e2e" / "test_whole.py"
    whole.parent.mkdir()
    for file in (whole, tree / "test_small.py"):
        file.write_text("#" * 5000)
    assert suite.expected(whole, {}) == 5
    assert suite.expected(tree / "test_small.py", {}) == 1


def test_what_failed_is_told_and_the_seconds_are_remembered(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree / "test_bad.py").write_text(BAD)
    assert suite.main([]) == 1
    assert suite.recall().keys() == {"tests/room/test_bad.py"}
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
