"""`python -m meshproxy`, and the command that is installed."""

import sys

from meshproxy.cli.main import main as run


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
