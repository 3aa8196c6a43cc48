"""Files and directories that a configuration names."""

from pathlib import Path
from typing import Final, NewType

from meshproxy.config.errors import NotHere

Directory = NewType("Directory", str)
"""A directory that exists when the configuration is loaded."""
RegularFile = NewType("RegularFile", str)
"""A regular file that exists when the configuration is loaded."""

FILES: Final[dict[object, str]] = {Directory: "directory", RegularFile: "file"}
"""The name of each type in messages."""


class MissingFile(NotHere):
    """A well-formed path to nothing on this machine."""


def find_file(kind: object, text: str, beside: Path) -> str:
    """Returns the absolute path of the file or directory *text*, which must be of *kind*.

    A relative path is looked up in *beside*, the directory of the configuration, and then in the
    working directory. `~` is the home directory. Raises MissingFile.
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
    except RuntimeError:  # there is no such home directory
        return Path(text)


def _is_there(kind: object, path: Path) -> bool:
    try:
        return path.is_dir() if kind is Directory else path.is_file()
    except OSError:
        return False
