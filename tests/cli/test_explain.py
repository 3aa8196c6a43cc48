"""`meshproxy explain`: the steps of a name, from a configuration that nobody serves."""

import json
from pathlib import Path

import pytest

from meshproxy.cli.explain import leads_on
from tests.cli.test_main import said

CONFIG = """
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  label: egress
  dtab: |
    /fs => /#/io.l5d.fs ;
    /svc => /fs ;
    /svc/split => 3 * /fs/web & 1 * /fs/empty ;
  servers: [{{port: 4140}}]
- protocol: http
  label: other
  dtab: /svc => /nowhere
  servers: [{{port: 4141}}]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    names = tmp_path / "names"
    names.mkdir()
    (names / "web").write_text("127.0.0.1 8080\n")
    (names / "empty").write_text("")
    config = tmp_path / "a.yaml"
    config.write_text(CONFIG.format(names=names))
    return str(config)


def test_a_name_that_leads_to_an_endpoint(capsys: pytest.CaptureFixture[str], file: str) -> None:
    status, output, errors = said(capsys, "explain", file, "/svc/web")
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        "/svc/web",
        "  /fs/web  (/svc => /fs)",
        "    /#/io.l5d.fs/web  (/fs => /#/io.l5d.fs)",
        "      /#/io.l5d.fs/web: bound to /#/io.l5d.fs/web, 127.0.0.1:8080",
        "leads to an endpoint",
    ]


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["/svc/empty"], "bound to /#/io.l5d.fs/empty, no endpoints"),
        (["/svc/none"], "/#/io.l5d.fs/none: neg"),
        (["--router", "other", "/svc/web"], "/nowhere/web  (/svc => /nowhere): neg"),
        (["--dtab", "/svc/web => !", "/svc/web"], "(/svc/web => !): fail"),
    ],
)
def test_a_name_that_leads_nowhere(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str], end: str
) -> None:
    status, output, errors = said(capsys, "explain", file, *words)
    assert (status, errors, output.splitlines()[-1]) == (1, "", "leads nowhere")
    assert end in output


def test_a_union_leads_on_if_one_of_it_does(capsys: pytest.CaptureFixture[str], file: str) -> None:
    status, output, _ = said(capsys, "explain", file, "--json", "/svc/split")
    found = json.loads(output)
    assert (status, found["router"], found["bound"]) == (0, "egress", True)
    (union, *_) = found["tree"]["alt"]
    assert [one["weight"] for one in union["union"]] == [3, 1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--router", "none", "/svc/web"], "There is no router none"),
        (["svc"], "Invalid path: "),
        (["--dtab", "/svc", "/svc/web"], "Invalid dtab: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str], why: str
) -> None:
    status, output, errors = said(capsys, "explain", file, *words)
    assert (status, output, errors.count("\n"), why in errors) == (1, "", 1, True)


def test_without_a_name_the_command_line_is_wrong(
    capsys: pytest.CaptureFixture[str], file: str
) -> None:
    assert said(capsys, "explain", file)[0] == 2


def test_an_alternative_that_fails_ends_the_search() -> None:
    fail, leaf = {"type": "fail"}, {"type": "leaf", "bound": {"addr": {"addrs": [1]}}}
    assert leads_on({"type": "alt", "alt": [{"type": "neg"}, leaf]}) is True
    assert leads_on({"type": "alt", "alt": [{"type": "neg"}, fail, leaf]}) is False
    assert leads_on({"type": "alt", "alt": [{"type": "neg"}]}) is None
