"""A short soak, so that the long one is known to work."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_no_promise_is_broken_under_load_with_faults() -> None:
    command = [sys.executable, "-m", "tests.soak", "--seconds", "5", "--seed", "1"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "whole 200" in ran.stdout
