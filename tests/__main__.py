"""`python -m tests [PYTEST OPTION...]`: the whole suite, with one pytest a core, room after room.

Prints the last line of each room, and all that a room with a failure has to say.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parent
PYTEST = (
    sys.executable,
    "-m",
    "gevent.monkey",
    "--module",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
)
NOTHING_COLLECTED = 5


def parts() -> list[list[Path]]:
    """Returns what one pytest runs at a time: a room; files of whole proxies, the longest first."""
    whole = sorted((TESTS / "e2e").glob("test_*.py"), key=lambda path: -path.stat().st_size)
    rooms = sorted({path.relative_to(TESTS).parts[0] for path in TESTS.rglob("*/test_*.py")})
    return [
        *([path] for path in whole),
        *([TESTS / room] for room in rooms if room != "e2e"),
        sorted(TESTS.glob("test_*.py")),
    ]


def run(paths: Sequence[Path], options: Sequence[str]) -> bool:
    """Runs the tests in *paths*. Returns True if none failed."""
    done = subprocess.run(
        (*PYTEST, *options, *map(str, paths)),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    name = paths[0].relative_to(TESTS.parent) if len(paths) == 1 else TESTS.name
    good = done.returncode in {0, NOTHING_COLLECTED}
    print(f"{name}: {done.stdout.splitlines()[-1] if good else done.stdout}", flush=True)
    return good


def main(options: Sequence[str]) -> int:
    """Runs every part; 0 if no test failed, else 1."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return 0 if all(list(pool.map(lambda paths: run(paths, options), parts()))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
