"""A log file that is rolled, moved, full or gone."""

import os
import resource
import signal
import time
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.config.rolling import roll_policy
from meshproxy.server.log_file import LogFile


class Clock:
    """Shows the UTC time it was set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def set(self, text: str) -> None:
        """Show *text*, as `2026-03-01 12:00:00`."""
        self.now = float(timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S")))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    shown = Clock()
    shown.set("2026-03-01 12:00:00")
    yield shown
    monkeypatch.undo()
    time.tzset()


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


def log(
    folder: Path, clock: Clock, policy: str = "never", *, append: bool = True, keep: int = -1
) -> LogFile:
    return LogFile(str(folder / "a.log"), roll_policy(policy), append=append, keep=keep, now=clock)


def write(file: LogFile, *lines: str) -> None:
    assert file.write([f"{line}\n".encode() for line in lines]) == (0, None)


def test_lines_go_behind_those_that_are_there(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a.log").write_text("0\n")
    file = log(tmp_path, clock)
    write(file, "1", "2")
    write(file, "3")
    file.close()
    write(file, "4")
    assert content(tmp_path) == {"a.log": "0\n1\n2\n3\n4\n"}


def test_the_file_is_emptied_once_if_asked(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a.log").write_text("0\n")
    file = log(tmp_path, clock, append=False)
    write(file, "1")
    file.close()
    write(file, "2")
    assert content(tmp_path) == {"a.log": "1\n2\n"}


def test_others_may_not_read_it(tmp_path: Path, clock: Clock) -> None:
    write(log(tmp_path, clock), "1")
    assert (tmp_path / "a.log").stat().st_mode & 0o007 == 0


def test_no_lines_make_the_file(tmp_path: Path, clock: Clock) -> None:
    write(log(tmp_path, clock))
    assert content(tmp_path) == {"a.log": ""}


# --- rolling ---


@pytest.mark.parametrize(
    ("policy", "times", "rolled"),
    [
        ("hourly", ("2026-03-01 12:59:59", "2026-03-01 13:00:00"), "a-20260301-12.log"),
        ("daily", ("2026-03-01 23:59:59", "2026-03-02 00:00:00"), "a-20260301.log"),
        ("weekly(1)", ("2026-03-07 23:59:59", "2026-03-08 00:00:00"), "a-20260301.log"),
        ("weekly(2)", ("2026-03-01 23:59:59", "2026-03-02 00:00:00"), "a-20260223.log"),
        ("weekly(7)", ("2026-03-06 23:59:59", "2026-03-07 00:00:00"), "a-20260228.log"),
    ],
)
def test_a_period_ends_with_its_last_second(
    tmp_path: Path, clock: Clock, policy: str, times: tuple[str, str], rolled: str
) -> None:
    file = log(tmp_path, clock, policy)
    write(file, "first")
    clock.set(times[0])
    write(file, "last")
    assert content(tmp_path) == {"a.log": "first\nlast\n"}
    clock.set(times[1])
    write(file, "next")
    assert content(tmp_path) == {rolled: "first\nlast\n", "a.log": "next\n"}


def test_a_file_of_an_earlier_period_is_rolled_at_start(tmp_path: Path, clock: Clock) -> None:
    old = tmp_path / "a.log"
    old.write_text("old\n")
    os.utime(old, (clock.now - 86400, clock.now - 86400))
    write(log(tmp_path, clock, "daily"), "new")
    assert content(tmp_path) == {"a-20260228.log": "old\n", "a.log": "new\n"}


def test_a_clock_that_goes_back_rolls_nothing(tmp_path: Path, clock: Clock) -> None:
    file = log(tmp_path, clock, "hourly")
    write(file, "1")
    clock.now -= 7200
    write(file, "2")
    assert content(tmp_path) == {"a.log": "1\n2\n"}


def test_no_file_grows_beyond_its_size(tmp_path: Path, clock: Clock) -> None:
    file = log(tmp_path, clock, "8.bytes")
    write(file, "aaa", "bbb", "ccc", "far too long", "ddd")
    assert content(tmp_path) == {
        "a-20260301-120000.log": "aaa\nbbb\n",
        "a-20260301-120000_1.log": "ccc\n",
        "a-20260301-120000_2.log": "far too long\n",
        "a.log": "ddd\n",
    }


def test_only_the_latest_rolled_files_are_kept(tmp_path: Path, clock: Clock) -> None:
    others = {"a-notes.log": "", "ab-20200101.log": "", "a-20200101.txt": ""}
    for other in others:
        (tmp_path / other).touch()
    file = log(tmp_path, clock, "1.byte", keep=2)
    for line in "abcde":
        clock.now += 1
        write(file, line)
    kept = {"a-20260301-120004.log": "c\n", "a-20260301-120005.log": "d\n", "a.log": "e\n"}
    assert content(tmp_path) == others | kept


def test_files_rolled_within_a_second_keep_their_order(tmp_path: Path, clock: Clock) -> None:
    file = log(tmp_path, clock, "1.byte", keep=1)
    write(file, *"abcd")
    assert content(tmp_path) == {"a-20260301-120000_2.log": "c\n", "a.log": "d\n"}


def test_none_are_kept_if_none_are_wanted(tmp_path: Path, clock: Clock) -> None:
    file = log(tmp_path, clock, "1.byte", keep=0)
    write(file, "a", "b")
    assert content(tmp_path) == {"a.log": "b\n"}


def test_what_is_no_plain_file_is_never_moved(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "a.log").symlink_to("target")
    write(log(tmp_path, clock, "1.byte"), "a", "b")
    assert content(tmp_path) == {"a.log": "a\nb\n", "target": "a\nb\n"}
    assert (tmp_path / "a.log").is_symlink()


def test_a_file_that_cannot_be_moved_is_gone_on_with(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    file = log(tmp_path, clock, "hourly")
    write(file, "1")
    clock.now += 3600
    monkeypatch.setattr(Path, "rename", refuse)
    lost, error = file.write([b"2\n"])
    assert (lost, str(error)) == (0, "not here")
    write(file, "3")
    assert content(tmp_path) == {"a.log": "1\n2\n3\n"}


# --- trouble ---


def test_a_file_moved_aside_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    file = log(tmp_path, clock)
    write(file, "1")
    (tmp_path / "a.log").rename(tmp_path / "moved")
    write(file, "2")
    assert content(tmp_path) == {"a.log": "2\n", "moved": "1\n"}


def test_a_missing_directory_loses_lines_until_it_is_there(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "gone"
    file = log(folder, clock)
    lost, error = file.write([b"1\n", b"2\n"])
    assert (lost, type(error)) == (2, FileNotFoundError)
    folder.mkdir()
    write(file, "3")
    assert content(folder) == {"a.log": "3\n"}


def test_a_directory_that_vanishes_is_noticed(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "soon gone"
    folder.mkdir()
    file = log(folder, clock)
    write(file, "1")
    (folder / "a.log").unlink()
    folder.rmdir()
    assert file.write([b"2\n"])[0] == 1


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_path_that_cannot_be_a_file_loses_lines(tmp_path: Path, clock: Clock, name: str) -> None:
    file = LogFile(str(tmp_path / name), roll_policy("never"), now=clock)
    lost, error = file.write([b"1\n"])
    assert lost == 1
    assert error is not None


def test_a_full_disk_loses_what_does_not_fit(tmp_path: Path, clock: Clock) -> None:
    """A limit on the size of files stands in for the end of a disk."""
    file = log(tmp_path, clock)
    write(file, "fits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        lost, error = file.write([b"2\n", b"too long\n", b"3\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (lost, isinstance(error, OSError)) == (2, True)
    write(file, "after")
    assert content(tmp_path) == {"a.log": "fits\n2\ntoo\nafter\n"}


def test_a_file_is_rolled_by_size_whoever_wrote_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = LogFile(str(path), roll_policy("10.bytes"))
    for written, left, rolled in (
        (b"", b"", []),
        (b"12345678\n", b"12345678\n", []),
        (b"9\n", b"", [b"12345678\n9\n"]),
    ):
        with path.open("ab") as other:
            other.write(written)
        assert file.roll_if_due() is None
        assert path.read_bytes() == left
        assert [one.read_bytes() for one in tmp_path.glob("a-*.log")] == rolled
    file.close()


def test_a_directory_that_is_gone_cannot_be_rolled_in(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "gone" / "a.log"), roll_policy("10.bytes"))
    assert isinstance(file.roll_if_due(), FileNotFoundError)
