"""Suggests what a wrong command line was meant to be."""

from argparse import Namespace
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from meshproxy.cli.commands import COMMANDS, SERVE
from meshproxy.config.suggest import nearest, suggestion

_COMMANDS: Final = {
    **{name: f"meshproxy {name}" for name in COMMANDS},
    "help": "meshproxy --help",
    "version": "meshproxy --version",
}
"""Words often typed for a command, and the right command line."""
_NAMES: Final = 1000
"""Most files compared with a misspelt file name."""


def in_words(name: str, given: Namespace, word: str) -> str:
    """Returns what is wrong with *word*, which the command *name* does not accept with *given*."""
    if word.startswith("-"):
        options = [one for option in COMMANDS[name].options for one in option.names]
        return f"{word} is not an option of {name}, {suggestion(word, [*options, '--help'])}"
    meant = _command(given.config) if name == SERVE else None
    if meant is not None:
        return f"{given.config} is not a command, did you mean {meant}?"
    return f"{word} is one word too many, see meshproxy {name} --help"


def in_file_name(name: str, error: OSError) -> str:
    """Returns why the file *name* cannot be read; *error* was raised on reading it."""
    path = Path(name)
    match error:
        case IsADirectoryError():
            inside = min(path.glob("*.yaml"), default=None)
            return f"is a directory, name a file{f' in it, such as {inside}' if inside else ''}"
        case FileNotFoundError():
            meant = _file_beside(path) or _command(name)
            hint = f"did you mean {meant}?" if meant else "see meshproxy --help"
            return f"no such file, {hint}"
        case _:
            return f"cannot be read: {error.strerror}"


def _command(word: str) -> str | None:
    near = nearest(word, _COMMANDS)
    return None if near is None else _COMMANDS[near]


def _file_beside(path: Path) -> str | None:
    """Returns the file with almost the name of *path* in the same directory, if any."""
    names: list[str] = []
    with suppress(OSError):
        names += islice((one.name for one in path.parent.iterdir()), _NAMES)
    near = nearest(path.name, names)
    return None if near is None else str(path.with_name(near))
