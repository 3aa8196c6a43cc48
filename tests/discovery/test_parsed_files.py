"""What operators are told about watched files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gevent.queue import Queue

from meshproxy.discovery.parsed_files import ParsedFiles
from meshproxy.var import Failed, Ok
from tests.kit.wire import WAIT_S


def parse(text: bytes | None) -> list[int]:
    if text is None:
        raise ValueError("no such file")
    return [int(word) for word in text.split()]


@contextmanager
def following(files: ParsedFiles[list[int]], path: Path) -> Iterator[Queue]:
    seen: Queue = Queue()
    close = files.follow(str(path)).observe(seen.put)
    try:
        yield seen
    finally:
        close()


def only(files: ParsedFiles[list[int]]) -> Any:
    (row,) = files.followed()
    return row


def test_a_file_is_shown_while_it_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_bytes(b"1 2")
    files = ParsedFiles(parse, list)
    assert list(files.followed()) == []
    with following(files, file) as seen, following(files, file):
        assert seen.get(timeout=WAIT_S) == Ok([1, 2])
        row = only(files)
        assert (row.name, row.answer, row.failure) == (str(file), "2 entries", "")
        assert row.answered_at > 0 == row.failing_since
        state = files.describe()[str(file)]
        assert state["state"]["value"] == [1, 2]
        assert state["poll"]["error"] is None
    assert files.describe() == {}


def test_the_last_good_contents_are_shown_beside_what_is_wrong_now(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_bytes(b"1 2")
    files = ParsedFiles(parse, list)
    with following(files, file) as seen:
        assert seen.get(timeout=WAIT_S) == Ok([1, 2])
        read_at = only(files).answered_at
        file.write_bytes(b"one")
        assert isinstance(seen.get(timeout=WAIT_S), Failed)
        row = only(files)
        assert (row.answer, row.answered_at) == ("2 entries", read_at)
        assert "'one'" in row.failure
        assert row.failing_since >= read_at
        error = files.describe()[str(file)]["poll"]["error"]
        assert error == row.failure
        file.unlink()
        assert isinstance(seen.get(timeout=WAIT_S), Failed)
        assert "no such file" in only(files).failure
        assert only(files).failing_since == row.failing_since
        file.write_bytes(b"3")
        assert seen.get(timeout=WAIT_S) == Ok([3])
        assert (only(files).failure, only(files).failing_since) == ("", 0.0)


def test_a_file_that_cannot_be_read_has_no_answer(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"1 " * (3 * 1024 * 1024))
    files = ParsedFiles(parse, list)
    with following(files, large) as seen:
        assert isinstance(seen.get(timeout=WAIT_S), Failed)
        row = only(files)
        assert (row.answer, row.answered_at) == ("", 0.0)
        assert "is larger than" in row.failure
