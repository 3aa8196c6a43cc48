"""Packages of npm: where they are, and how to install them below .tox."""

import os
import shutil
import subprocess
from pathlib import Path

PREFIX = Path(__file__).parent.parent.parent / ".tox" / "npm"


def package(name: str) -> Path | None:
    """Return the directory of a package, if it and node are installed, here or globally."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    everywhere = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
    places = (
        *os.environ.get("NODE_PATH", "").split(":"),
        str(PREFIX / "node_modules"),
        everywhere.stdout.strip(),
    )
    found = [Path(place, name) for place in places if place and Path(place, name).is_dir()]
    return found[0] if found else None


def install(*packages: str) -> None:
    """Install *packages*, `name` or `name@version`; raises CalledProcessError if that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(f"node and npm are needed, for {' and '.join(packages)}")
    options = ("--silent", "--no-audit", "--no-fund", "--omit=optional", "--prefix", str(PREFIX))
    subprocess.run([npm, "install", *options, *packages], check=True)
