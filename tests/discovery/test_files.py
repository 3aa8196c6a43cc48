"""Files that change under a watcher."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gevent.queue import Queue

from meshproxy.discovery import files
from meshproxy.discovery.files import (
    MAX_BYTES,
    MAX_RESTLESS,
    _keep_looking,
    contents,
    file_depth,
    files_below,
)
from meshproxy.var import Failed, Ok, Var
from tests.kit.wire import WAIT_S

QUICK_S = 0.02


@contextmanager
def watching(var: Var[Any]) -> Iterator[Queue]:
    seen: Queue = Queue()
    close = var.observe(seen.put)
    try:
        yield seen
    finally:
        close()


def write(file: Path, text: bytes) -> None:
    """Replace *file* in one step, as careful writers do."""
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(text)
    new.replace(file)


def test_a_file_is_followed_through_its_life(tmp_path: Path) -> None:
    file = tmp_path / "f"
    with watching(contents(str(file), QUICK_S)) as seen:
        assert seen.get(timeout=WAIT_S) == Ok(None)
        file.write_bytes(b"one")
        assert seen.get(timeout=WAIT_S) == Ok(b"one")
        file.write_bytes(b"two")
        assert seen.get(timeout=WAIT_S) == Ok(b"two")
        write(file, b"333")
        assert seen.get(timeout=WAIT_S) == Ok(b"333")
        file.write_bytes(b"")
        assert seen.get(timeout=WAIT_S) == Ok(b"")
        file.unlink()
        assert seen.get(timeout=WAIT_S) == Ok(None)


def test_the_first_value_is_there_at_once(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one")
    assert contents(str(tmp_path / "f")).sample() == Ok(b"one")


def test_a_config_map_is_followed_through_its_links(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "f").write_text(version)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "f").symlink_to("..data/f")
    with watching(contents(str(tmp_path / "f"), QUICK_S)) as seen:
        assert seen.get(timeout=WAIT_S) == Ok(b"v1")
        (tmp_path / "..tmp").symlink_to("v2")
        (tmp_path / "..tmp").replace(tmp_path / "..data")
        assert seen.get(timeout=WAIT_S) == Ok(b"v2")


def test_a_write_of_the_same_size_in_the_same_tick_is_seen(tmp_path: Path) -> None:
    """Nothing in the file's status tells the two apart."""
    file = tmp_path / "f"
    file.write_bytes(b"one")
    with watching(contents(str(file), QUICK_S)) as seen:
        assert seen.get(timeout=WAIT_S) == Ok(b"one")
        file.write_bytes(b"two")
        assert seen.get(timeout=WAIT_S) == Ok(b"two")


def test_what_changes_without_rest_is_taken_after_all() -> None:
    looks = iter(range(100))
    published: list[int] = []

    class Enough(Exception):
        pass

    def publish() -> None:
        published.append(next(looks))
        if len(published) == 3:
            raise Enough

    with pytest.raises(Enough):
        _keep_looking(lambda: next(looks), None, publish, 0)
    assert max(b - a for a, b in pairwise(published)) <= MAX_RESTLESS + 2


def test_half_a_write_is_not_taken() -> None:
    """A change counts when the next look agrees with it."""
    looks = iter(["old", "old", "empty", "new", "new", "new"])
    published: list[str] = []
    seen = [""]

    def look() -> str:
        seen[0] = next(looks)
        return seen[0]

    with pytest.raises(StopIteration):
        _keep_looking(look, "old", lambda: published.append(seen[0]), 0)
    assert published == ["old", "new"]


def test_what_is_no_regular_file_is_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"")
    assert contents(str(tmp_path)).sample() == Ok(None)
    assert contents(str(tmp_path / "fifo")).sample() == Ok(None)
    assert contents(str(tmp_path / "file" / "below")).sample() == Ok(None)


def test_a_file_that_cannot_be_read_is_failed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    state = contents(str(tmp_path / "loop")).sample()
    assert isinstance(state, Failed)
    assert isinstance(state.error, OSError)


def test_a_huge_file_is_failed(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    state = contents(str(tmp_path / "f")).sample()
    assert isinstance(state, Failed)
    assert "larger than" in str(state.error)


def test_the_depth_of_a_file_is_followed(tmp_path: Path) -> None:
    with watching(file_depth(str(tmp_path), [b"a", b"b", b"c"], QUICK_S)) as seen:
        assert seen.get(timeout=WAIT_S) == 0
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").write_bytes(b"")
        assert seen.get(timeout=WAIT_S) == 2
        (tmp_path / "a" / "b").unlink()
        (tmp_path / "a" / "b").mkdir()
        (tmp_path / "a" / "b" / "c").write_bytes(b"")
        assert seen.get(timeout=WAIT_S) == 3
        (tmp_path / "a").rename(tmp_path / "z")
        assert seen.get(timeout=WAIT_S) == 0


@pytest.mark.parametrize(
    "names",
    [
        [b"..", b"secret"],
        [b"a", b"..", b"..", b"secret"],
        [b".", b"f"],
        [b"../secret"],
        [b"/etc/passwd"],
        [b"a/f"],
        [b"f\0"],
        [b"x" * 5000],
        [b"a"],
        [b"missing", b"f"],
    ],
    ids=repr,
)
def test_only_plain_names_of_files_lead_anywhere(tmp_path: Path, names: list[bytes]) -> None:
    (tmp_path / "secret").write_bytes(b"")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "f").write_bytes(b"")
    (root / "a" / "f").write_bytes(b"")
    assert file_depth(str(root), names).sample() == 0
    assert file_depth(str(root), [b"a", b"f"]).sample() == 2
    assert file_depth(str(root), [b"f", b".."]).sample() == 1


def test_all_regular_files_below_a_directory_are_found_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep").touch()
    (tmp_path / "top").touch()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert files_below(str(tmp_path)) == [(b"a", b"b", b"deep"), (b"top",)]
    assert files_below(str(tmp_path / "nowhere")) == []
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert (b"a", b"again", b"top") in files_below(str(tmp_path))
    monkeypatch.setattr(files, "MAX_FILES", 2)
    assert len(files_below(str(tmp_path))) <= 2
