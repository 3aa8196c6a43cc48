"""Short soaks, so that the long ones are known to work."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("soak", ["soak", "soak_bridged"])
def test_no_promise_is_broken_under_load_with_faults(soak: str) -> None:
    command = [sys.executable, "-m", f"tests.{soak}", "--seconds", "5", "--seed", "1"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "whole 200" in ran.stdout
