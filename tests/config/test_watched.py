"""What is made of files follows them, and never falls behind the last good ones."""

import gc
from pathlib import Path

import pytest

from meshproxy.config.watched import Watched, WatchedFiles, stamp


def number(file: Path) -> Watched[int]:
    return Watched([str(file)], lambda: int(file.read_text()))


def test_it_is_made_anew_when_a_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    watched = number(file)
    assert (watched.refresh(), watched.value) == (False, 1)
    file.write_text("22")
    assert watched.value == 1
    assert (watched.refresh(), watched.value, watched.failure) == (False, 22, None)


def test_what_is_made_of_unchanged_files_is_the_same_object(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("x")
    watched = Watched([str(file)], lambda: [file.read_text()])
    before = watched.value
    watched.refresh()
    assert watched.value is before


@pytest.mark.parametrize("broken", ["", "x", None])
def test_a_broken_file_keeps_the_old_and_is_told_once(tmp_path: Path, broken: str | None) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    watched = number(file)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    assert [watched.refresh() for _ in range(3)] == [True, False, False]
    assert watched.value == 1
    assert watched.failure is not None
    file.write_text("333")
    assert (watched.refresh(), watched.value, watched.failure) == (False, 333, None)


def test_a_file_that_becomes_readable_is_read(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    before = stamp(str(file))
    file.chmod(0o600)
    assert stamp(str(file)) != before


def test_a_file_that_is_broken_at_first_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        number(tmp_path / "gone")


def test_all_are_shared_while_in_use_and_looked_at_together(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    files = WatchedFiles()

    def make() -> list[int]:
        return [int(file.read_text())]

    watched = files.take("key", [str(file)], make)
    assert files.take("key", [str(file)], make) is watched
    file.write_text("x")
    assert list(files.refresh()) == [watched]
    assert list(files.refresh()) == []
    del watched
    gc.collect()
    file.write_text("22")
    assert files.take("key", [str(file)], make).value == [22]
