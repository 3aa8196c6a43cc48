"""Files and directories that a configuration names, wherever it is loaded from."""

from pathlib import Path
from typing import Final, NewType

from meshproxy.config.errors import NotHere

Directory = NewType("Directory", str)
"""A directory that exists when the configuration is loaded."""
RegularFile = NewType("RegularFile", str)
"""A regular file that exists when the configuration is loaded."""

FILES: Final[dict[object, str]] = {Directory: "directory", RegularFile: "file"}
"""What each type is called."""


class MissingFile(NotHere):
    """A well-formed path that leads to nothing on this machine."""


def find_file(kind: object, text: str, beside: Path) -> str:
    """The absolute path of the file or directory that *text* names, one of *kind*.

    A relative path is looked for in the directory *beside*, where the configuration is, and then in
    the working directory. `~` is the home directory. Raises MissingFile.
    """
    places = [beside.absolute(), Path.cwd()]
    for place in places:
        found = place / _at_home(text)
        if _is_there(kind, found):
            return str(found)
    what = f"{text} is not a {FILES[kind]}"
    if not _at_home(text).is_absolute():
        what += f" in {places[0]}, where this configuration is"
        if places[1] != places[0]:
            what += f", and none in {places[1]}, the working directory"
    raise MissingFile(f"{what}: create it or name another")


def _at_home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody's home
        return Path(text)


def _is_there(kind: object, path: Path) -> bool:
    try:
        return path.is_dir() if kind is Directory else path.is_file()
    except OSError:
        return False
