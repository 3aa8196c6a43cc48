"""A protocol of another distribution is checked and served like one of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_command import COMMAND, Serving
from tests.kit.wire import WireClient

LINES = '''
"""Routers that answer each line with the name it is bound to, the word being its name."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.routers import RouterConfig
from meshproxy.naming.dtab import Dtab
from meshproxy.server.listener import ServerParameters
from meshproxy.var import wait


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesConfig(RouterConfig):
    """Answers lines."""

    kind: ClassVar[str] = "lines"

    def build(self, deps):
        return LinesRouter(self, deps)


class Conversation:
    ending = ""
    is_draining = False

    def __init__(self, stream, answer):
        self._stream, self._answer = stream, answer

    def run(self):
        while word := self._stream.receive(float("inf")).strip():
            self._stream.send(self._answer(word) + b"\\n", 10.0)
        self._stream.close()

    def end_idle(self):
        self._stream.expire()


class LinesRouter:
    access_log = None
    identify = None

    def __init__(self, config, deps):
        self.config = config
        self._interpreter = deps.interpreter
        self.servers = [
            ServerParameters(protocol=self, max_connections=9, metrics=deps.metrics)
            for _ in config.servers
        ]

    def converse(self, stream, remote, local):
        return Conversation(stream, self._answer)

    def adopt(self, conversation):
        return isinstance(conversation, Conversation)

    def _answer(self, word):
        tree = wait(self._interpreter.bind(self.config.dtab, self.config.dst_prefix + (word,)), 5)
        return tree.value.value.id.show().encode()

    def explain_limits(self):
        return []

    def sweep(self):
        pass

    def close(self, successor=None):
        pass
'''
CONFIG = """
admin: {port: 0}
routers:
- protocol: lines
  dtab: /svc => /$/inet/127.0.0.1
  servers: [{port: 0}]
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin where a child process finds it."""
    (tmp_path / "lines.py").write_text(LINES)
    facts = tmp_path / "lines-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[meshproxy.protocols]\nlines = lines:LinesConfig\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("_installed")
def test_a_protocol_of_a_plugin_is_served_and_reloaded(tmp_path: Path) -> None:
    serving = Serving(CONFIG, tmp_path)
    try:
        with WireClient(serving.port) as client:
            client.send(b"80\n")
            assert client.sock.recv(100) == b"/$/inet/127.0.0.1/80\n"
            serving.reload(CONFIG.replace("127.0.0.1", "127.0.0.2"))
            client.send(b"81\n")
            assert client.sock.recv(100) == b"/$/inet/127.0.0.1/81\n"
        with WireClient(serving.port) as client:
            client.send(b"82\n")
            assert client.sock.recv(100) == b"/$/inet/127.0.0.2/82\n"
    finally:
        serving.daemon.stop()


@pytest.mark.usefixtures("_installed")
def test_its_keys_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(CONFIG.replace("servers: [{port: 0}]", "servers: [{prot: 0}]"))
    command = [sys.executable, *COMMAND[1:], "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "routers[0].servers[0].prot: unknown key, did you mean port?" in done.stderr
