"""`meshproxy status`: a proxy is asked how it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_main import said
from tests.kit.downstream import Answer, Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import free_port, get

CONFIG = """
admin: {{port: 0}}
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  label: egress
  dtab: /svc => /#/io.l5d.fs
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    (tmp_path / "empty").write_text("")
    with Proxy(CONFIG.format(names=tmp_path)) as running:
        yield running


def ask(capsys: pytest.CaptureFixture[str], port: int, end: str = "") -> tuple[int, str, str]:
    return said(capsys, "status", "--admin", f"http://127.0.0.1:{port}{end}")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_proxy_that_does_well(capsys: pytest.CaptureFixture[str], proxy: Proxy, end: str) -> None:
    assert ask(capsys, proxy.linker.admin_port, end) == (0, "ok: egress\n", "")


def test_what_is_wrong_is_told_a_line_each(
    capsys: pytest.CaptureFixture[str], proxy: Proxy
) -> None:
    assert get(proxy.port("egress"), "empty").status == 502
    told = ask(capsys, proxy.linker.admin_port)
    assert told == (1, "/#/io.l5d.fs/empty has no endpoints\n", "")


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = ask(capsys, free_port())
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert ": Connection refused: start the proxy, or say by --admin" in errors


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(status=404), "the answer has status 404"),
        (Answer(body=b"<html>"), "the answer is not JSON"),
        (Answer(body=b"[]"), "this is not an overview of meshproxy's"),
        (Answer(body=b'{"problems": [{}]}'), "this is not an overview of meshproxy's"),
    ],
)
def test_an_answer_of_something_else_is_one_line(
    capsys: pytest.CaptureFixture[str], answer: Answer, why: str
) -> None:
    with Downstream(lambda _: answer) as other:
        status, output, errors = ask(capsys, other.port)
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert why in errors


def test_what_is_told_controls_no_terminal_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = b'{"problems": [{"what": "\\u001b[2J"}], "problem_count": 3, "routers": []}'
    with Downstream(lambda _: told) as other:
        assert ask(capsys, other.port) == (1, "?[2J\nand 2 problems more\n", "")
