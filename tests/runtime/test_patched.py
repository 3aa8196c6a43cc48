"""A module is imported without the garbage collector, after gevent's patch."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from meshproxy.runtime import patched
from tests.kit.daemons import START_S

ROOT = Path(__file__).parent.parent.parent
SEEN = """
import gc
from gevent import monkey
SEEN = monkey.is_module_patched("socket"), gc.isenabled()
def main(*arguments):
    print(*SEEN, gc.isenabled(), gc.get_freeze_count() > 1000, *arguments)
    return 3
"""


def test_a_module_is_run_with_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(SEEN)
    ran = subprocess.run(
        [sys.executable, "-m", "meshproxy.runtime.patched", "seen", "1", "two"],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("True False True True 1 two\n", "")
    assert ran.returncode == 3


def test_after_a_failure_the_collector_is_on() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"meshproxy\.nothing"):
        patched.load("meshproxy.nothing")
    assert gc.isenabled()
