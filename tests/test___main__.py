"""What is imported when: little for help and version, nothing that blocks before the patch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemons import START_S

ROOT = Path(__file__).parent.parent
LIGHT = {
    "meshproxy",
    "meshproxy.__main__",
    "meshproxy.cli",
    "meshproxy.cli.commands",
    "meshproxy.cli.main",
    "meshproxy.cli.shipped",
    "meshproxy.runtime",
    "meshproxy.runtime.patched",
}
BLOCKING = {"asyncio", "logging", "queue", "select", "selectors", "signal", "socket", "ssl"}
BLOCKING |= {"subprocess", "threading", "urllib3"}
"""What gevent patches or would have to, and what a library may have taken from there."""
PRINTING = """
import sys
class Note:
    def find_spec(name, path, target=None):
        if name == "gevent":
            print("before the patch:", *sys.modules, file=sys.stderr)
sys.meta_path.insert(0, Note)
from meshproxy.__main__ import main
try:
    main()
finally:
    print("at the end:", *sys.modules, file=sys.stderr)
"""


def modules(when: str, *arguments: str) -> set[str]:
    """Return what had been imported at this point of a process that runs the command line."""
    ran = subprocess.run(
        [sys.executable, "-c", PRINTING, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=True,
    )
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith(when)]
    return set(line.removeprefix(when + ":").split())


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "meshproxy"}


EXPLAIN = ["explain", "conf/static.yaml", "/svc/x"]


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--print-config", "egress"], EXPLAIN], ids=" ".join
)
def test_output_that_nobody_reads_ends_it_without_a_traceback(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.fdopen(reading, "rb").close()  # now: that of gevent's os.close waits for the loop
    command = [sys.executable, "-m", "meshproxy", *arguments]
    with os.fdopen(writing, "wb") as closed:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # as if there were more than a buffer
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=START_S,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (141, b"")


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["check", "--help"], ["--print-config", "egress"]],
    ids=" ".join,
)
def test_what_only_prints_imports_neither_the_proxy_nor_its_libraries(arguments: list[str]) -> None:
    seen = modules("at the end", *arguments)
    assert ours(seen) <= LIGHT
    assert seen & {"gevent", "yaml", "urllib3", "dns", "kubernetes", "statsd", *BLOCKING} == set()


def test_the_patch_comes_before_anything_that_it_replaces() -> None:
    seen = modules("before the patch", "check", "conf/egress.yaml")
    assert ours(seen) <= LIGHT
    assert seen & BLOCKING == set()


def test_the_kubernetes_client_is_not_imported_for_an_api_without_credentials() -> None:
    seen = modules("at the end", "check", "conf/egress.yaml")
    assert "meshproxy.namers.k8s" in seen
    assert "kubernetes" not in seen
