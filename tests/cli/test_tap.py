"""`meshproxy tap`: what a running proxy serves, as it serves it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gevent.subprocess import PIPE, Popen

from tests.cli.test_main import said
from tests.kit.downstream import Answer, Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import free_port, get

CONFIG = """
admin: {{port: 0}}
routers:
- protocol: http
  dtab: /svc => /$/inet/127.0.0.1/{port}
  servers: [{{port: 0}}]
"""


@contextmanager
def tapping(proxy: Proxy, *options: str) -> "Iterator[Popen[bytes]]":
    """Run the command until it is interrupted, which must end it well.

    A suite that runs in the background may ignore the signal, and would hand that down.
    """
    admin = f"http://127.0.0.1:{proxy.linker.admin_port}"
    heeding = ["env", "--default-signal=INT"]
    command = [*heeding, sys.executable, "-m", "meshproxy", "tap", "--admin", admin, *options]
    with Popen(command, stdout=PIPE, stderr=subprocess.STDOUT, env={**os.environ}) as process:
        try:
            proxy.wait_count("tap", "readers")
            yield process
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with (
        Downstream(lambda asked: Answer(503 if "bad" in asked.target else 200)) as origin,
        Proxy(CONFIG.format(port=origin.port)) as running,
    ):
        yield running


def test_requests_are_printed_as_they_end(proxy: Proxy) -> None:
    with tapping(proxy, "--status", "5xx", "--name", "/svc/web") as tap:
        get(proxy.port(), "web", "/fine")
        get(proxy.port(), "other", "/bad")
        get(proxy.port(), "web", "/bad")
        line = tap.stdout.readline().decode()
    assert " 503 " in line
    assert "GET web/bad  /svc/web -> /$/inet/127.0.0.1/" in line
    assert line.endswith("  endpoint\n")


def test_of_a_long_reason_the_line_has_what_ended_it(proxy: Proxy) -> None:
    with tapping(proxy) as tap:
        get(proxy.port(), "web", "/", "l5d-dtab: /svc => !")
        line = tap.stdout.readline().decode()
    assert "Unable to route" not in line
    assert line.endswith("  no_hosts /svc/web (/svc => !): ended by !\n")


def test_an_object_a_line(proxy: Proxy) -> None:
    with tapping(proxy, "--json", "--slower-than", "0") as tap:
        get(proxy.port(), "web", "/fine")
        found = json.loads(tap.stdout.readline())
    assert (found["path"], found["status"]) == ("/fine", 200)


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = said(capsys, "tap", "--admin", f"http://127.0.0.1:{free_port()}")
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert ": Connection refused: start the proxy, or say by --admin" in errors


def test_what_the_proxy_refuses_is_told(capsys: pytest.CaptureFixture[str], proxy: Proxy) -> None:
    admin = f"http://127.0.0.1:{proxy.linker.admin_port}"
    status, _, errors = said(capsys, "tap", "--admin", admin, "--status", "oops")
    assert status == 1
    assert "'oops' is not a status" in errors


def test_what_would_control_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = json.dumps({"dropped": "\x1b[31m"}).encode() + b"\n"
    with Downstream(lambda _: Answer(200, [hostile, b"[]\n"])) as other:
        status, output, _ = said(capsys, "tap", "--admin", f"http://127.0.0.1:{other.port}")
    assert (status, output) == (1, "(?[31m requests not shown)\n")
