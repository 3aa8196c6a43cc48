"""The package as it is installed: what the wheel carries, claims and needs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from meshproxy.cli import shipped

ROOT = Path(__file__).parent.parent.parent
BUILD = "from setuptools import build_meta; build_meta.build_{}({!r})"
BUILD_S = 60.0


def run(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run Python to its end, and return what it printed."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | (environ or {}),
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def build(directory: Path, what: str = "wheel", **environ: str) -> Path:
    """Build a *what* from a copy of the sources in *directory*, and return the file."""
    source = directory / "source"
    if not source.exists():
        source.mkdir()
        for name in ("setup.py", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, source)
        leave = shutil.ignore_patterns("__pycache__")
        for name in ("meshproxy", "conf"):
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=leave)
    built = directory / f"{what}{len(environ)}"
    run("-c", BUILD.format(what, str(built)), cwd=source, environ=environ)
    (file,) = built.iterdir()
    return file


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def wheel(directory: Path) -> Path:
    return build(directory)


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def needs(wheel: Path) -> set[str]:
    """Return the names of what is installed with it, without any extra."""
    requirements = metadata(wheel).get_all("Requires-Dist", [])
    return {re.split("[ <>=]", one)[0] for one in requirements if "extra ==" not in one}


def test_the_installed_package_runs_without_the_checkout(tmp_path: Path, wheel: Path) -> None:
    installed = tmp_path / "installed"
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    run(*pip, str(installed), str(wheel), cwd=tmp_path)
    here = {"PYTHONPATH": str(installed)}
    place = run("-c", "import meshproxy; print(meshproxy.__file__)", cwd=tmp_path, environ=here)
    assert Path(place.strip()).parent == installed / "meshproxy"
    command = str(installed / "bin/meshproxy")
    for name in shipped.names():
        printed = run(command, "--print-config", name, cwd=tmp_path, environ=here)
        assert printed == shipped.file(name).read_text()
    laptop = str(installed / "meshproxy/conf/laptop.yaml")
    assert run(command, "check", laptop, cwd=tmp_path, environ=here) == "ok\n"


def test_a_source_distribution_builds_the_same_wheel(
    tmp_path: Path, directory: Path, wheel: Path
) -> None:
    shutil.unpack_archive(build(directory, "sdist"), tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert not (source / "meshproxy/conf").is_symlink()
    run("-c", BUILD.format("wheel", str(tmp_path / "again")), cwd=source)
    (again,) = (tmp_path / "again").iterdir()
    with ZipFile(wheel) as one, ZipFile(again) as other:
        contents = [{info.filename: info.CRC for info in each.infolist()} for each in (one, other)]
    assert contents[0] == contents[1]


def test_the_wheel_says_what_it_is_and_claims_no_licence(wheel: Path) -> None:
    said = metadata(wheel)
    assert all(" :: " in one for one in said.get_all("Classifier", []))
    assert all(", https://" in one for one in said.get_all("Project-URL", []))
    assert [name for name in said if "license" in name.lower()] == []
    assert "License" not in "".join(said.get_all("Classifier", []))


def test_a_slim_wheel_lacks_the_kubernetes_client_alone(directory: Path, wheel: Path) -> None:
    slim = build(directory, MESHPROXY_SLIM="1")
    assert needs(wheel) - needs(slim) == {"kubernetes"}
    assert needs(slim) == {"PyYAML", "dnspython", "gevent", "statsd", "urllib3"}
