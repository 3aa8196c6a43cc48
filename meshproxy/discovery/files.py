"""Files, watched by polling (linkerd: namer/fs/.../Watcher.scala).

Polling sees what notification misses: network file systems, renames over a file, and the symbolic
links that Kubernetes swaps under a mounted ConfigMap.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeVar

import gevent

from meshproxy.var import PENDING, Activity, Failed, Ok, Source, State, Var

INTERVAL_S: Final = 0.25
MAX_RESTLESS: Final = 2
"""After this many changed polls in a row, a file that keeps changing is read anyway."""
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_FILES: Final = 10_000

T = TypeVar("T")


def contents(path: str, interval_s: float = INTERVAL_S) -> Activity[bytes | None]:
    """Returns the bytes of a regular file; None while there is none, failed if it is unreadable.

    A change is read once two polls in a row agree, so that a file which is emptied before it is
    written is not read halfway; at the latest after three intervals. More than 4 MB is a failure.
    """
    name = os.fsencode(path)
    return _watched(lambda: _signature(name), lambda: _read(name), PENDING, interval_s)


def file_depth(root: str, names: Sequence[bytes], interval_s: float = INTERVAL_S) -> Var[int]:
    """Returns how many of *names*, followed from *root*, lead to a regular file; 0 if none do.

    The names are not trusted: one that is `.` or `..`, or has a slash or a zero byte, leads
    nowhere.
    """
    top, steps = os.fsencode(root), tuple(names)

    def look() -> int:
        return _depth(top, steps)

    return _watched(look, look, 0, interval_s)


def files_below(root: str) -> list[tuple[bytes, ...]]:
    """Returns the steps from *root* to each regular file below it, following links, in order.

    Looks at most at `MAX_FILES` files and directories; omits what cannot be read.
    """
    top = os.fsencode(root)
    found: list[tuple[bytes, ...]] = []
    waiting: deque[tuple[bytes, ...]] = deque([()])
    seen = 0
    while waiting:
        steps = waiting.popleft()
        try:
            with os.scandir(b"/".join((top, *steps))) as entries:
                for entry in islice(entries, MAX_FILES - seen):
                    seen += 1
                    if entry.is_dir():
                        waiting.append((*steps, entry.name))
                    elif entry.is_file():
                        found.append((*steps, entry.name))
        except OSError:
            continue
    return sorted(found)


def _watched(
    look: Callable[[], object], read: Callable[[], T], initial: T, interval_s: float
) -> Var[T]:
    """Returns the result of *read*, which is read again when *look* has changed and settled."""

    def start(emit: Callable[[T], None]) -> Callable[[], None]:
        before = look()
        emit(read())
        greenlet = gevent.spawn(_keep_looking, look, before, lambda: emit(read()), interval_s)
        return lambda: greenlet.kill(block=False)

    return Source(start, initial)


def _keep_looking(
    look: Callable[[], object], before: object, publish: Callable[[], None], interval_s: float
) -> None:
    """Polls, and always publishes after the first interval: an early write may be missed."""
    restless = 1
    while True:
        gevent.sleep(interval_s)
        now = look()
        has_changed, before = now != before, now
        restless += has_changed
        if restless and (not has_changed or restless > MAX_RESTLESS):
            restless = 0
            publish()


def _signature(path: bytes) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - any bytes are a path here
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: bytes) -> State[bytes | None]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - any bytes are a path here
            return Ok(None)
        with open(path, "rb") as file:  # noqa: PTH123 - any bytes are a path here
            text = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Ok(None)
    except OSError as error:
        return Failed(error)
    if len(text) > MAX_BYTES:
        return Failed(ValueError(f"{os.fsdecode(path)} is larger than {MAX_BYTES} bytes"))
    return Ok(text)


def _depth(top: bytes, names: tuple[bytes, ...]) -> int:
    path = top
    for depth, name in enumerate(names, 1):
        if name in (b".", b"..") or b"/" in name or b"\0" in name:
            return 0
        path += b"/" + name
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - any bytes are a path here
        except OSError:
            return 0
        if stat.S_ISREG(mode):
            return depth
        if not stat.S_ISDIR(mode):
            return 0
    return 0
