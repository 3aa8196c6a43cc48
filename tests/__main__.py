"""`python -m tests [--again] [--skip ROOM] [PYTEST OPTION...]`: the suite, in several processes.

Prints the last line of each process, and all that one with a failure has to say. With `--again`,
what failed has one more chance, alone, and is named.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.etree.ElementTree import fromstring

TESTS = Path(__file__).parent
ROOT = TESTS.parent
REMEMBERED = ROOT / ".pytest_cache" / "seconds.json"
"""How long each file took when it ran last."""
MEASURED = TESTS / "seconds.json"
"""How long the longest files took on two cores: where nothing is remembered."""
PYTEST = (sys.executable, "-m", "gevent.monkey", "--module", "pytest", "-q")
NOTHING_COLLECTED = 5
ALONE = 24
"""A file that takes this part of the whole, or more, has a process of its own."""
TOGETHER, LEAST = 12, 72
"""Others are taken together up to this part of what is left, as a process spends a second on
imports; at the end, where processes wait for the last one, to that part of the whole."""
BYTES_PER_S = 15_000
"""Of a file that is short and has not run yet."""
MOST_S = 900.0
"""A unit that takes longer hangs: it is killed, and has failed."""
PER_CORE = 3
"""Processes: tests of whole proxies wait for much of their time."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The files that one process runs."""

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
    seconds: dict[str, float]
    """What each file took; nothing of a unit that was killed."""


def expected(file: Path, remembered: Mapping[str, float]) -> float:
    """Returns the seconds that *file* will take: what it took, or a guess by its size."""
    return remembered.get(str(file.relative_to(ROOT)), file.stat().st_size / BYTES_PER_S)


def units(files: Iterable[Path], remembered: Mapping[str, float]) -> list[Unit]:
    """Returns every file in one unit, with its neighbours if they are short; the longest first."""
    seconds = {file: expected(file, remembered) for file in sorted(files)}
    whole = sum(seconds.values())
    found = [Unit([file], its) for file, its in seconds.items() if its >= whole / ALONE]
    left = whole - sum(unit.seconds for unit in found)
    filling = Unit([], 0)
    for file, its_seconds in seconds.items():
        if its_seconds >= whole / ALONE:
            continue
        filling = Unit([*filling.files, file], filling.seconds + its_seconds)
        if filling.seconds >= max(left / TOGETHER, whole / LEAST):
            found.append(filling)
            left -= filling.seconds
            filling = Unit([], 0)
    found += [filling] if filling.files else []
    return sorted(found, key=lambda unit: -unit.seconds)


def run(unit: Unit, options: Sequence[str], caches: Path) -> Ran:
    """Runs the tests of *unit*; what failed is kept in a directory of its own in *caches*."""
    cache = caches / "-".join(unit.files[0].relative_to(TESTS).parts)
    report = cache.with_suffix(".xml")
    keep = (f"--rootdir={ROOT}", "-o", f"cache_dir={cache}", f"--junitxml={report}")
    command = (*PYTEST, *keep, "-o", "junit_family=xunit1", *options, *map(str, unit.files))
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
    return Ran(good, seconds_of(report))


def seconds_of(report: Path) -> dict[str, float]:
    """Returns what each file took, by pytest's *report*; nothing if there is none."""
    seconds: defaultdict[str, float] = defaultdict(float)
    if report.exists():
        for test in fromstring(report.read_text()).iter("testcase"):  # noqa: S314 - pytest's
            seconds[test.attrib["file"]] += float(test.attrib["time"])
    return seconds


def text(output: bytes | None) -> str:
    """Returns what pytest has printed."""
    return (output or b"").decode(errors="replace").rstrip("\n")


def recall() -> dict[str, float]:
    """Returns what is remembered, and what was measured of files that have not run here."""
    return read(MEASURED) | read(REMEMBERED)


def read(file: Path) -> dict[str, float]:
    """Returns the seconds kept in *file*; nothing if it cannot be read."""
    try:
        found: dict[str, float] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def remember(ran: Iterable[Ran]) -> None:
    """Keeps how long each file took."""
    seconds = read(REMEMBERED)
    for one in ran:
        seconds |= {file: round(took, 2) for file, took in one.seconds.items()}
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
    with TemporaryDirectory() as place, ThreadPoolExecutor(processes()) as pool:
        directory = Path(place)
        todo = units(files, recall())
        ran = list(pool.map(lambda unit: run(unit, options, directory), todo))
        if not options:
            remember(ran)
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
