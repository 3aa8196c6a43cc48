"""The demo that README promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemons import find

ROOT = Path(__file__).parent.parent.parent


def test_the_three_curls_of_the_article_print_what_it_prints() -> None:
    if not find("curl"):
        pytest.skip("curl is not installed")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\nHello (127.1.1.10) World (127.1.1.11)!!\n" in ran.stdout
    assert "\nHTTP/1.1 301 Moved Permanently\n" in ran.stdout
    assert "\nHTTP/1.1 200 OK\n" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_calls_of_grpc_reach_the_greeter_and_come_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo", "grpc"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\nSayHello: Hello linkerd\n" in ran.stdout
    assert "SayHelloBidiStream: Hello linkerd-a, Hello linkerd-b, Hello linkerd-c\n" in ran.stdout
    assert "a service that nobody has: UNAVAILABLE\n" in ran.stdout
    assert "/svc/helloworld.Greeter/success: 3\n" in ran.stdout
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("program", ["demo", "bench", "fuzz", "soak"])
def test_who_lacks_the_extras_is_told_what_to_install(program: str) -> None:
    code = (
        "import runpy, sys; sys.modules['h11'] = sys.modules['trustme'] = None; "
        f"runpy.run_module('tests.{program}', run_name='__main__')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "not installed: h11, trustme; run: pip install -e '.[test]'\n"
