"""`python -m tests [--again] [--skip ROOM] [PYTEST OPTION...]`: the suite, in several processes.

Prints the last line of each process, and all that one with a failure has to say. With `--again`,
what failed has one more chance, alone, and is named.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

TESTS = Path(__file__).parent
ROOT = TESTS.parent
REMEMBERED = ROOT / ".pytest_cache" / "seconds.json"
"""How long each file took when it ran last."""
PYTEST = (sys.executable, "-m", "gevent.monkey", "--module", "pytest", "-q")
NOTHING_COLLECTED = 5
UNITS = 24
"""Files are taken together up to this part of the whole: a process spends a second on imports."""
WAITING = {"bench", "e2e"}
"""Rooms of whole proxies and other programs."""
BYTES_PER_S = 1000
"""Of a file in such a room that has not run yet; others take a fifth of that time."""
MOST_S = 600.0
"""A unit that takes longer hangs: it is killed, and has failed."""
PER_CORE = 2
"""Processes: tests of whole proxies wait for a third of their time."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The files that one process runs."""

    number: int
    files: list[Path]
    seconds: float

    @property
    def name(self) -> str:
        """Its first file, and how many others there are."""
        first, *others = self.files
        return f"{first.relative_to(ROOT)}{f' and {len(others)} more' if others else ''}"


def room_of(file: Path) -> str:
    """Returns the directory below `tests` that *file* is in; its own name if it is in none."""
    return file.relative_to(TESTS).parts[0]


class Ran(NamedTuple):
    """How a unit went."""

    is_good: bool
    seconds: float


def expected(file: Path, remembered: Mapping[str, float]) -> float:
    """Returns the seconds that *file* will take: what it took, or a guess by its size."""
    guess = file.stat().st_size / BYTES_PER_S * (1 if room_of(file) in WAITING else 0.2)
    return remembered.get(str(file.relative_to(ROOT)), guess)


def units(files: Iterable[Path], remembered: Mapping[str, float]) -> list[Unit]:
    """Returns every file in one unit, with its neighbours if they are short; the longest first."""
    seconds = {file: expected(file, remembered) for file in sorted(files)}
    enough = sum(seconds.values()) / UNITS
    found: list[list[Path]] = []
    filling: list[Path] = []
    for file, its_seconds in seconds.items():
        if its_seconds >= enough:
            found.append([file])
            continue
        filling.append(file)
        if sum(seconds[each] for each in filling) >= enough:
            found.append(filling)
            filling = []
    found += [filling] if filling else []
    lasting = [(sum(seconds[each] for each in one), one) for one in found]
    lasting.sort(key=lambda pair: -pair[0])
    return [Unit(number, one, seconds) for number, (seconds, one) in enumerate(lasting)]


def run(unit: Unit, options: Sequence[str], caches: Path) -> Ran:
    """Runs the tests of *unit*; what failed is kept in a directory of its own in *caches*."""
    cache = ("-o", f"cache_dir={caches / str(unit.number)}")
    begun = time.monotonic()
    command = (*PYTEST, *cache, *options, *map(str, unit.files))
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=MOST_S,
        )
    except subprocess.TimeoutExpired as error:
        good, output = False, f"{text(error.output)}\nkilled after {MOST_S:.0f} s"
    else:
        good, output = done.returncode in {0, NOTHING_COLLECTED}, text(done.stdout)
    print(f"{unit.name}: {output.splitlines()[-1] if good else output}", flush=True)
    return Ran(good, time.monotonic() - begun)


def text(output: bytes | None) -> str:
    """Returns what pytest has printed."""
    return (output or b"").decode(errors="replace").rstrip("\n")


def recall() -> dict[str, float]:
    """Returns what is remembered; nothing if that cannot be read."""
    try:
        found: dict[str, float] = json.loads(REMEMBERED.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def remember(ended: Iterable[tuple[Unit, Ran]], before: Mapping[str, float]) -> None:
    """Keeps how long each file took: of its unit's time, the share that was expected of it."""
    seconds = dict(before)
    for unit, ran in ended:
        for file in unit.files:
            share = expected(file, before) / unit.seconds
            seconds[str(file.relative_to(ROOT))] = round(share * ran.seconds, 2)
    REMEMBERED.parent.mkdir(exist_ok=True)
    REMEMBERED.write_text(json.dumps(seconds, indent=1))


def given(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns what *arguments* say, and what pytest is to get."""
    parser = argparse.ArgumentParser("python -m tests", allow_abbrev=False)
    parser.add_argument("--again", action="store_true", help="run what failed once more, alone")
    parser.add_argument("--skip", metavar="ROOM", action="append", default=[])
    return parser.parse_known_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Runs every file; 0 if no test failed, else 1."""
    wanted, options = given(arguments)
    files = [file for file in TESTS.rglob("test_*.py") if room_of(file) not in wanted.skip]
    remembered = recall()
    with TemporaryDirectory() as place, ThreadPoolExecutor(processes()) as pool:
        directory = Path(place)
        todo = units(files, remembered)
        ran = list(pool.map(lambda unit: run(unit, options, directory), todo))
        if not options:
            remember(zip(todo, ran, strict=True), remembered)
        failed = [unit for unit, one in zip(todo, ran, strict=True) if not one.is_good]
        if failed and wanted.again:
            print("once more, one after the other: what failed beside others", flush=True)
            again = [*options, "--last-failed"]
            failed = [unit for unit in failed if not run(unit, again, directory).is_good]
    for unit in failed:
        print(f"failed: {unit.name}", flush=True)
    return 1 if failed else 0


def processes() -> int:
    """Returns how many run at a time."""
    return PER_CORE * (os.cpu_count() or 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
