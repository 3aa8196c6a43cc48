"""The entries of a router's dtab, each with its place in the file that it is written in."""

from pathlib import Path as FilePath
from typing import NamedTuple

from meshproxy.config.dtabs import parse_entries
from meshproxy.config.load import Loaded
from meshproxy.config.nodes import Scalar, find
from meshproxy.config.places import Mark, Text
from meshproxy.interpreters.default import DefaultInterpreterConfig
from meshproxy.interpreters.fs import FsInterpreterConfig
from meshproxy.naming.dtab import Dentry
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path


class PlacedEntry(NamedTuple):
    """An entry, written at *mark* of *file*, which the configuration names at *path*."""

    dentry: Dentry
    file: str
    mark: Mark
    path: str

    @property
    def prefix(self) -> tuple[bytes | None, ...]:
        """The left side."""
        return self.dentry.prefix

    @property
    def dst(self) -> NameTree[Path]:
        """The right side."""
        return self.dentry.dst

    @property
    def leaves(self) -> list[Path]:
        """The paths of the right side."""
        found: list[Path] = []
        self.dst.map(found.append)
        return found


def entries_of(loaded: Loaded, number: int) -> list[PlacedEntry] | None:
    """Returns the entries for the names of router *number*, preferred ones last, if known."""
    interpreter = loaded.config.routers[number].interpreter_or_default()
    written = _of_router(loaded, f"routers[{number}].dtab")
    match interpreter:
        case DefaultInterpreterConfig():
            return written
        case FsInterpreterConfig():
            kept = _of_file(interpreter.dtab_file, f"routers[{number}].interpreter.dtabFile")
            return None if kept is None else kept + written
        case _:
            return None


def _of_router(loaded: Loaded, path: str) -> list[PlacedEntry]:
    node = find(loaded.root, path)
    if not isinstance(node, Scalar):
        return []
    entries = parse_entries(node.text)
    return [PlacedEntry(dentry, loaded.file, node.at(at), path) for at, dentry in entries]


def _of_file(file: str, path: str) -> list[PlacedEntry] | None:
    try:
        text = FilePath(file).read_text("utf-8")
        entries = parse_entries(text)
    except (OSError, ValueError):
        return None
    places = Text(text)
    return [PlacedEntry(dentry, file, places.at(at), path) for at, dentry in entries]
