"""`python -m meshproxy`, and the command that is installed."""

import os
import sys
from typing import Final

from meshproxy.cli.main import main as run

_OUTPUT_CLOSED: Final = 141
"""The status of a process that SIGPIPE ended, in a shell."""


def main() -> None:
    """Runs the command line and exits with its status."""
    try:
        try:
            status = run()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _OUTPUT_CLOSED
    sys.exit(status)


if __name__ == "__main__":
    main()
