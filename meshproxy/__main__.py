"""`python -m meshproxy`: patches the standard library before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - only what is imported after the patch is cooperative

from meshproxy.cli.main import main as run  # noqa: E402


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
