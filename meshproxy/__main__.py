"""`python -m meshproxy`, and the command that is installed."""

import sys

from meshproxy.cli.main import main as run


def main() -> None:
    """Runs the command line and exits with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
