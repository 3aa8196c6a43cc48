"""Completion as a user has it: a terminal, the real shell, and its Tab key."""

import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gevent.select import select

from meshproxy.cli.completion import bash, fish, zsh
from tests.kit.daemons import START_S

SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": """meshproxy() { echo "got: $*."; }; PS1='re''ady> '; source ./script""",
    "zsh": """meshproxy() { echo "got: $*."; }; PS1='re''ady> '
        autoload -U compinit; compinit -D; source ./script""",
    "fish": """function meshproxy; echo got: "$argv."; end; source ./script
        function fish_prompt; echo 're''ady> '; end""",
}
"""A command that says how it was called, and a prompt that is not what was typed."""
LINES = [
    pytest.param("che", "check", id="a command"),
    pytest.param("serv", "serve", id="the command that may be left out"),
    pytest.param("completion fi", "completion fish", id="an operand"),
    pytest.param("lapt", "laptop file.yaml", id="a file to serve"),
    pytest.param("check lapt", "check laptop file.yaml", id="a file to check"),
    pytest.param("check --verb", "check --verbose", id="an option of a command"),
    pytest.param("--print-c", "--print-config", id="an option without a command"),
    pytest.param("--print-config egr", "--print-config egress", id="a value"),
    pytest.param("--log-level=deb", "--log-level=debug", id="a value behind an equals sign"),
    pytest.param("check --log-format js", "check --log-format json", id="a value for a command"),
    pytest.param("--log-format json chec", "--log-format json check", id="a command behind both"),
    pytest.param("check completio", "check completio", id="no command behind a command"),
]


class Terminal:
    """What a user at *descriptor* types and sees."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = ""

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def read(self, pattern: str) -> "re.Match[str]":
        """Return the next match of *pattern* in what is seen."""
        deadline = time.monotonic() + START_S
        while not (found := re.search(pattern, self._seen)):
            left = deadline - time.monotonic()
            assert select([self._descriptor], [], [], max(left, 0))[0], self._seen
            self._seen += os.read(self._descriptor, 65536).decode(errors="replace")
        self._seen = self._seen[found.end() :]
        return found


@contextmanager
def running(shell: str, directory: Path) -> Iterator[Terminal]:
    """Run the shell in a terminal, with its completion script read."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *COMMANDS[shell]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(directory)},
    )
    os.close(theirs)
    terminal = Terminal(ours)
    terminal.type(SETUP[shell] + "\n")
    terminal.read("ready> ")
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.fixture(scope="module", params=list(SCRIPTS))
def terminal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    for program in (request.param, "setsid"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "laptop file.yaml").touch()
    (directory / "script").write_text(SCRIPTS[request.param]())
    with running(request.param, directory) as one:
        yield one


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_line_is_completed(terminal: Terminal, line: str, expected: str) -> None:
    terminal.type(f"meshproxy {line}\t\n")
    assert terminal.read(r"got: (.*)\.")[1].strip() == expected
    terminal.read("ready> ")


def test_bash_offers_all_values_behind_an_equals_sign() -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    words = 'COMP_WORDS=(meshproxy --log-format =) COMP_CWORD=2; _meshproxy; echo "${COMPREPLY[@]}"'
    ran = subprocess.run(
        ["bash", "-c", f"{bash()}\n{words}"], capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("text json\n", "")
