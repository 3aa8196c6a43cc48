"""A file that lines are appended to, rolled by time or size. It blocks, so a thread calls it.

util: util-logging/.../FileHandler.scala. No failure is final: the next lines open the file again,
even after someone has moved or removed it.
"""

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from meshproxy.config.rolling import LogSettings, RollPolicy

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_MODE = 0o640
_DAY_SECONDS = 86400
_LABELS = {"hour": "%Y%m%d-%H", "day": "%Y%m%d", "week": "%Y%m%d", "": "%Y%m%d-%H%M%S"}


class LogFile:
    """The file at *path*; up to *keep* rolled files stay beside it, all if *keep* is negative.

    Unless *append* is set, the file is emptied when it is first opened.
    """

    def __init__(
        self,
        path: str,
        policy: RollPolicy,
        *,
        append: bool = True,
        keep: int = -1,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._policy = policy
        self._keep = keep
        self._now = now
        self._flags = _FLAGS if append else _FLAGS | os.O_TRUNC
        self._fd = -1
        self._inode = (0, 0)
        self._size = 0
        self._period = ""
        self._is_rollable = False
        self._is_torn = False
        """True if the last write broke off within a line."""
        self._whole = 0
        """Number of complete lines written in the present call."""

    @classmethod
    def of(cls, settings: LogSettings) -> "LogFile":
        """Returns the file that *settings* describe."""
        return cls(settings.path, settings.policy, append=settings.append, keep=settings.keep)

    def write(self, lines: Sequence[bytes]) -> tuple[int, Exception | None]:
        """Appends *lines*; returns how many of them were lost, and the error if there was one."""
        self._whole = 0
        problem: OSError | None = None
        try:
            self._open_if_moved()
            first = 0
            while first < len(lines):
                if self._is_due(len(lines[first])):
                    problem = self._roll() or problem
                end = self._fitting(lines, first)
                self._append(b"".join(lines[first:end]))
                first = end
        except (OSError, ValueError) as error:  # ValueError: an impossible path
            self.close()
            return len(lines) - self._whole, error
        return 0, problem

    def roll_if_due(self) -> Exception | None:
        """Rolls the file if it is due, by any writer; returns the error if there was one.

        The file is opened first, so that it is emptied if it is not to be appended to.
        """
        try:
            self._open_if_moved()
            self._size = os.fstat(self._fd).st_size
            return self._roll() if self._is_due(1) else None
        except (OSError, ValueError) as error:
            self.close()
            return error

    def close(self) -> None:
        """Closes the file; the next write opens it again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)

    def _open_if_moved(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                found = self.path.stat()
                if (found.st_dev, found.st_ino) == self._inode:
                    return
            self.close()
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, self._flags, _MODE)
        self._flags = _FLAGS
        opened = os.fstat(self._fd)
        self._inode = (opened.st_dev, opened.st_ino)
        self._size = opened.st_size
        self._period = self._label(opened.st_mtime if self._size else self._now())
        self._is_rollable = stat.S_ISREG(opened.st_mode) and not self.path.is_symlink()

    def _append(self, data: bytes) -> None:
        if self._is_torn and self._size:
            self._size += os.write(self._fd, b"\n")
        self._is_torn = False
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:] if done else data)
        finally:
            self._size += done
            self._whole += data.count(b"\n", 0, done)
            self._is_torn = done > 0 and not data.endswith(b"\n", 0, done)

    def _fitting(self, lines: Sequence[bytes], first: int) -> int:
        """Returns the end of those *lines* from *first* on that fit into this file, always one."""
        limit = self._policy.size
        if not limit or not self._is_rollable:
            return len(lines)
        end, size = first + 1, self._size + len(lines[first])
        while end < len(lines) and size + len(lines[end]) <= limit:
            size += len(lines[end])
            end += 1
        return end

    def _is_due(self, more: int) -> bool:
        if not self._is_rollable or not self._size:
            return False
        if self._policy.size:
            return self._size + more > self._policy.size
        return bool(self._policy.period) and self._label(self._now()) > self._period

    def _roll(self) -> OSError | None:
        """Moves the file aside and begins another; if it cannot be moved, goes on writing to it."""
        label = self._period or time.strftime(_LABELS[""], time.localtime(self._now()))
        try:
            self.path.rename(self._free_name(label))
        except OSError as error:
            self._size = 0
            self._period = self._label(self._now())
            return error
        self.close()
        self._open()
        with contextlib.suppress(OSError):
            self._remove_old()
        return None

    def _free_name(self, label: str) -> Path:
        """Returns a name that sorts after all other files rolled with *label*."""
        taken = [number for known, number, _ in self._rolled() if known == label]
        ending = f"{label}_{max(taken) + 1}" if taken else label
        return self.path.with_name(f"{self.path.stem}-{ending}{self.path.suffix}")

    def _remove_old(self) -> None:
        if self._keep >= 0:
            rolled = self._rolled()
            for _, _, old in rolled[: max(len(rolled) - self._keep, 0)]:
                old.unlink()

    def _rolled(self) -> list[tuple[str, int, Path]]:
        """Returns the rolled files by label and number, oldest first."""
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        is_rolled = re.compile(rf"{stem}-(\d{{8}}(?:-\d+)?)(?:_(\d+))?{suffix}").fullmatch
        return sorted(
            (match[1], int(match[2] or 0), file)
            for file in self.path.parent.iterdir()
            if (match := is_rolled(file.name))
        )

    def _label(self, moment: float) -> str:
        """Returns the period of *moment* in local time; empty without periods."""
        period = self._policy.period
        if not period:
            return ""
        when = time.localtime(moment)
        if period == "week":
            days = (when.tm_wday + 1 - (self._policy.weekday - 1)) % 7  # tm_wday: Monday is 0
            noon = time.mktime((*when[:3], 12, 0, 0, 0, 0, -1))
            when = time.localtime(noon - days * _DAY_SECONDS)
        return time.strftime(_LABELS[period], when)
