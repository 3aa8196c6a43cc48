"""bin/meshproxy as an operator uses it: what it prints, how it ends, what it answers meanwhile."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from meshproxy import __version__
from tests.e2e.test_routing import config
from tests.kit.daemons import START_S, Daemon
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.wire import WireClient, get

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, str(ROOT / "bin/meshproxy")]
BROKEN = """routers:
- protocol: http
  dtabb: /svc => /x
  servers:
  - port: 80000
"""


def run(
    *arguments: str, stdin: str = "", cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in the directory *cwd* if there is one."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


class Serving:
    """The command serving *text*; its ports are those it printed."""

    def __init__(self, text: str, directory: Path, command: Sequence[str | Path] = COMMAND) -> None:
        self.file = directory / "served.yaml"
        self.file.write_text(text)
        self.daemon = Daemon([*map(str, command), str(self.file)], directory / "log")
        wait_until(lambda: "admin: http" in self.daemon.output(), START_S)
        printed = re.findall(r"http://127\.0\.0\.1:(\d+)", self.daemon.output())
        self.port, self.admin_port = map(int, printed)

    def reload(self, text: str, outcome: str = "reloaded") -> None:
        """Let it serve *text*, by SIGHUP, and wait until the log tells the *outcome*."""
        before = self.told(outcome)
        self.file.write_text(text)
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.told(outcome) > before, START_S)

    def told(self, what: str) -> int:
        """Return how often the log says *what* at the end of a line."""
        return sum(line.endswith(what) for line in self.daemon.output().splitlines())

    def metrics(self) -> dict[str, float]:
        """Return what is counted."""
        found: dict[str, float] = json.loads(
            get(self.admin_port, "localhost", "/admin/metrics.json").body
        )
        return found


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


def test_help_and_version_are_printed() -> None:
    assert run("--version").stdout == f"meshproxy {__version__}\n"
    assert "meshproxy check" in run("--help").stdout


def test_check_says_ok_to_the_article_of_this_checkout() -> None:
    ran = run("check", str(ROOT / "conf/egress.yaml"))
    assert (ran.returncode, ran.stdout) == (0, "ok\n")


def test_check_reads_yaml_and_json_from_standard_input() -> None:
    as_json = '{"routers": [{"protocol": "http", "dtab": "/svc => /x", "servers": [{"port": 0}]}]}'
    assert [run("check", "-", stdin=text).stdout for text in (config(1), as_json)] == ["ok\n"] * 2


@pytest.mark.parametrize("words", [["check"], []], ids=["check", "serve"])
def test_every_error_is_named_with_its_place(words: list[str]) -> None:
    ran = run(*words, "-", stdin=BROKEN)
    lines = ran.stderr.splitlines()
    assert ran.returncode == 1
    assert [line.partition(": ")[0] for line in lines] == ["<stdin>:3:3", "<stdin>:5:11"]
    assert "did you mean dtab?" in lines[0]


def test_a_file_that_is_not_there_is_one_clear_line() -> None:
    ran = run("no-such-file.yaml")
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "no-such-file.yaml" in ran.stderr


def test_a_port_in_use_is_one_clear_line(origin: Downstream) -> None:
    text = config(1).replace("- {port: 0,", f"- {{port: {origin.port},")
    ran = run("-", stdin=text)
    assert ran.returncode == 1
    assert f"127.0.0.1:{origin.port}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_bad_certificate_is_one_clear_line(tmp_path: Path, side: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    if side == "client":
        text = config(1, f"  client: {{tls: {{commonName: x, trustCertsBundle: {bad}}}}}")
    else:
        tls = f"- {{port: 0, ip: 127.0.0.1, tls: {{certPath: {bad}, keyPath: {bad}}}}}"
        text = config(1).replace("- {port: 0, ip: 127.0.0.1}", tls)
    ran = run("-", stdin=text)
    assert ran.returncode == 1
    assert str(bad) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, origin: Downstream) -> None:
    serving = Serving(config(origin.port), tmp_path)
    with serving.daemon:
        assert get(serving.port, "web").body == b"served"
        assert get(serving.admin_port, "localhost", "/admin/ping").body == b"pong"
        assert serving.daemon.stop() == 0


def test_a_running_request_is_finished_after_the_signal(tmp_path: Path) -> None:
    with SlowDownstream() as origin:
        serving = Serving(config(origin.port), tmp_path)
        with serving.daemon, WireClient(serving.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            origin.wait_asked()
            serving.daemon.process.send_signal(signal.SIGINT)
            wait_until(lambda: "SIGINT" in serving.daemon.output())
            origin.let_go()
            reply = client.read()
            assert (reply.body, reply.get("connection")) == (b"finished", "close")
            assert gevent.spawn(serving.daemon.process.wait, START_S).get() == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with SlowDownstream() as origin:
        serving = Serving(config(origin.port), tmp_path)
        with serving.daemon, WireClient(serving.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            origin.wait_asked()
            serving.daemon.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "SIGTERM" in serving.daemon.output())
            serving.daemon.process.send_signal(signal.SIGTERM)
            assert serving.daemon.process.wait(5) is not None


def test_shutdown_is_a_post(tmp_path: Path, origin: Downstream) -> None:
    serving = Serving(config(origin.port), tmp_path)
    with serving.daemon, WireClient(serving.admin_port) as client:
        assert client.get("localhost", "/admin/shutdown").status == 405
        client.send(
            b"POST /admin/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        )
        assert client.read(b"POST").status == 200
        assert serving.daemon.process.wait(START_S) == 0
