"""`python -m tests.vectors FILE...`: prints every failure, then `N passed, N failed`."""

import sys
from pathlib import Path

from tests.vectors.runner import run_file


def main(arguments: list[str]) -> int:
    """Run the files; 0 when all cases passed, 1 when one failed, 2 when no file was named."""
    if not arguments:
        sys.stderr.write("usage: python -m tests.vectors FILE...\n")
        return 2
    results = [result for argument in arguments for result in run_file(Path(argument))]
    failures = [result for result in results if result is not None]
    for failure in failures:
        sys.stdout.write(f"{failure}\n")
    sys.stdout.write(f"{len(results) - len(failures)} passed, {len(failures)} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
