"""The configuration that a command is about: read, with what is wrong with it on standard error."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from meshproxy.config.errors import ConfigError, ConfigErrors, Severity
from meshproxy.config.load import Loaded, read
from meshproxy.runtime.building import CannotStart


def run_with(name: str, run: Callable[[Loaded], int], *, allow_missing: bool = False) -> int:
    """Run *run* with what the file *name* says; its status, or 1 if that cannot be used."""
    try:
        loaded = read(*text_of(name))
        try:
            return run(loaded)
        except CannotStart as error:
            for one in error.problems:
                what = loaded.placed(one) if one.key else f"meshproxy: {name}: {one.what}"
                print(what, file=sys.stderr)
    except ConfigErrors as error:
        tell(error.errors, allow_missing=allow_missing)
    except (OSError, UnicodeDecodeError) as error:
        print(f"meshproxy: {name}: {error}", file=sys.stderr)
    return 1


def tell(found: Iterable[ConfigError], *, allow_missing: bool) -> bool:
    """Print *found* in the order of the file; whether all of it is warnings.

    What is not on this machine is a warning if *allow_missing*, else an error.
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
    """Return the text of the file *name*, `-` being standard input, and what messages call it.

    Raises OSError and UnicodeDecodeError.
    """
    if name == "-":
        return sys.stdin.read(), "<stdin>"
    return Path(name).read_text("utf-8"), name
