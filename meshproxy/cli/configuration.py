"""The configuration that a command is about: read, with what is wrong with it on standard error."""

import sys
from collections.abc import Callable
from pathlib import Path

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import Loaded, read
from meshproxy.runtime.building import CannotStart


def run_with(name: str, run: Callable[[Loaded], int]) -> int:
    """Run *run* with what the file *name* says; its status, or 1 if that cannot be used."""
    try:
        return run(read(*text_of(name)))
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
    except (OSError, UnicodeDecodeError, CannotStart) as error:
        print(f"meshproxy: {name}: {error}", file=sys.stderr)
    return 1


def text_of(name: str) -> tuple[str, str]:
    """Return the text of the file *name*, `-` being standard input, and what messages call it.

    Raises OSError and UnicodeDecodeError.
    """
    if name == "-":
        return sys.stdin.read(), "<stdin>"
    return Path(name).read_text("utf-8"), name
