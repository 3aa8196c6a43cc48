"""Searches for inputs that break a law: `python -m tests.fuzz [SECONDS] [LAW ...]`.

Each law gets a process of its own and an equal part of the time. Status 1 when a law broke, its
input printed; 2 when atheris is not there.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.corpus import CORPUS, escaped, seeds
from tests.fuzz.laws import LAWS

MAX_LENGTH = 2048
"""Bytes of an input."""
SLOW_S = 10
"""Seconds after which one input counts as a hang."""
MEMORY_MB = 1024


def main() -> int:
    """Search, and say for each law how much was tried and what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    parser.add_argument("laws", nargs="*", metavar="LAW", help=", ".join(LAWS))
    parser.add_argument("--found", type=Path, help="a directory to keep new inputs in, by law")
    options = parser.parse_args()
    if unknown := set(options.laws) - LAWS.keys():
        parser.error(f"no such law: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("fuzz: nothing was tried, atheris is not installed\n")
        return 2
    laws = options.laws or list(LAWS)
    seconds = max(options.seconds // len(laws), 1)
    return max(search(law, seconds, options.found) for law in laws)


def search(law: str, seconds: int, found: Path | None) -> int:
    """Search for *seconds*; 1 when the law broke."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        new = found / law if found else directory / "new"
        started = directory / "seeds"
        for each in (new, started):
            each.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds(law)):
            (started / str(number)).write_bytes(seed)
        command = [
            *(sys.executable, "-m", "tests.fuzz.target", law),
            *(str(new), str(started), f"-dict={CORPUS / 'fuzz' / 'words.dict'}"),
            *(f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", f"-timeout={SLOW_S}"),
            *(f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={directory}/broken-"),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        done = re.search(r"Done (\d+) runs in (\d+) second", ran.stderr + ran.stdout)
        broken = [escaped(file.read_bytes()) for file in directory.glob("broken-*")]
    if ran.returncode == 0 and done and not broken:
        print(f"{law}: {done[1]} inputs in {done[2]} s, no law broken", flush=True)
        return 0
    print(f"{law}: broken by {broken}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
