"""Reads the configuration of a command and prints its problems to standard error."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from meshproxy.cli.mistakes import in_file_name
from meshproxy.config.errors import ConfigError, ConfigErrors, Severity
from meshproxy.config.load import Loaded, read
from meshproxy.config.places import Text
from meshproxy.runtime.building import CannotStart


def run_with(name: str, run: Callable[[Loaded], int], *, allow_missing: bool = False) -> int:
    """Calls *run* with the configuration in the file *name*; returns its status, or 1."""
    try:
        loaded = read(*text_of(name))
    except OSError as error:
        print(f"meshproxy: {name}: {in_file_name(name, error)}", file=sys.stderr)
        return 1
    except ConfigErrors as error:
        tell(error.errors, allow_missing=allow_missing)
        return 1
    try:
        return run(loaded)
    except ConfigErrors as error:
        tell(error.errors, allow_missing=allow_missing)
    except CannotStart as error:
        for one in error.problems:
            what = loaded.placed(one) if one.key else f"meshproxy: {name}: {one.what}"
            print(what, file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has left
        raise
    except OSError as error:
        print(f"meshproxy: {name}: {error}", file=sys.stderr)
    return 1


def tell(found: Iterable[ConfigError], *, allow_missing: bool) -> bool:
    """Prints *found* in the order of the file. Returns True if all of it is warnings.

    A file that is missing on this machine is a warning if *allow_missing*, otherwise an error.
    """
    is_fine = True
    for one in sorted(found, key=lambda one: one.mark):
        is_warning = one.severity is Severity.WARNING or (
            allow_missing and one.severity is Severity.MISSING
        )
        is_fine = is_fine and is_warning
        print(f"warning: {one}" if is_warning else one, file=sys.stderr)
    return is_fine


def text_of(name: str) -> tuple[str, str]:
    """Returns the text of the file *name*, or standard input for `-`, and its name in messages.

    Raises OSError, and ConfigErrors if it is not UTF-8.
    """
    shown = "<stdin>" if name == "-" else name
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        what = f"the byte 0x{content[error.start]:02x} is not UTF-8, save the file as UTF-8"
        raise ConfigErrors([ConfigError(shown, Text(before).at(len(before)), "", what)]) from None
    return text.replace("\r\n", "\n"), shown
