"""Values read from files and read again when the files change; the last good one is kept."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import WeakValueDictionary

Stamp: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and change time of a file."""
T = TypeVar("T")


class Watched(Generic[T]):
    """What *make* returns for the present *files*. Raises OSError and ValueError, as *make* does.

    `refresh` makes it anew; users of `value` may compare it with the one they used before.
    """

    def __init__(self, files: Sequence[str], make: Callable[[], T]) -> None:
        self.files = tuple(files)
        self._make = make
        self._stamps = [*map(stamp, self.files)]
        self.value = make()
        """What the files held when they could last be used."""
        self.failure: OSError | ValueError | None = None
        """Why the present files cannot be used, if they cannot."""

    def refresh(self) -> bool:
        """Makes it anew if a file has changed. Returns True if that failed."""
        stamps = [*map(stamp, self.files)]
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self.value = self._make()
        except (OSError, ValueError) as error:
            self.failure = error
            return True
        self.failure = None
        return False


class WatchedFiles:
    """All that is made of files, by a key of what it is; forgotten with its last user."""

    def __init__(self) -> None:
        self._all: WeakValueDictionary[Hashable, Watched[Any]] = WeakValueDictionary()

    def take(self, key: Hashable, files: Sequence[str], make: Callable[[], T]) -> Watched[T]:
        """Returns what *key* stands for, shared while in use; made of *files* by *make* if new.

        Raises what *make* raises.
        """
        found: Watched[T] | None = self._all.get(key)
        if found is None:
            found = self._all[key] = Watched(files, make)
        return found

    def refresh(self) -> Iterator[Watched[Any]]:
        """Looks at all files. Yields what could not be made anew, once for each change."""
        for watched in list(self._all.values()):
            if watched.refresh():
                yield watched


def stamp(path: str) -> Stamp | None:
    """Returns a value that changes with the file *path*; None if there is no such file."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns


watched_files = WatchedFiles()
"""Those of this process."""
