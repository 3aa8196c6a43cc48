"""`meshproxy explain --all`: what another configuration would change."""

import json
from pathlib import Path

import pytest

from meshproxy.cli.explain_all import ends_of, names_of
from meshproxy.config.load import load
from tests.cli.test_main import said

CONFIG = """
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  dtab: |
    /svc => /#/io.l5d.fs ; /svc/a => /$/inet/127.0.0.1/1 ; /svc/* => ~ ;
    /svc/b => 1 * /svc/a & 3 * /#/io.l5d.fs/web ; /other/c => /svc/a
  servers: [{{port: 0}}]
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = tmp_path / "names"
    names.mkdir()
    (names / "web").write_text("127.0.0.1 8080\n")
    text = CONFIG.format(names=names)
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(text)
    after.write_text(text.replace("1 * /svc/a & 3", "1 * /svc/a & 1"))
    return [str(before), str(after)]


def test_known_names_are_those_of_entries_and_of_namers(files: list[str]) -> None:
    config = load(Path(files[0]).read_text(), "a.yaml")
    assert names_of(config, None) == ["/svc/a", "/svc/b", "/svc/web"]
    assert names_of(config, "none") == []


def test_names_that_go_elsewhere_are_told(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    before, after = files
    assert said(capsys, "explain", before, "--all", before) == (
        0,
        "0 of 3 names go elsewhere\n",
        "",
    )
    status, output, _ = said(capsys, "explain", before, "--all", after)
    a, web = "/$/inet/127.0.0.1/1", "/#/io.l5d.fs/web"
    assert status == 1
    assert output.splitlines() == [
        f"/svc/b: 0.75 * {web} & 0.25 * {a} -> 0.5 * {web} & 0.5 * {a}",
        "1 of 3 names go elsewhere",
    ]
    status, output, _ = said(capsys, "explain", before, "/svc/a", "--all", after, "--json")
    assert (status, json.loads(output)) == (0, {"names": 1, "changed": []})


def test_an_error_in_the_other_file_is_told(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("routers: []\n")
    status, _, errors = said(capsys, "explain", files[0], "--all", str(bad))
    assert (status, str(bad) in errors) == (1, True)


def test_ends_do_not_depend_on_their_order_or_on_endpoints() -> None:
    one = {"id": "/a", "share": 0.5, "residual": "/", "endpoints": [1]}
    other = {"id": "/b", "share": 0.5, "residual": "/", "endpoints": []}
    assert ends_of({"clients": [one, other]}) == ends_of(
        {"clients": [other, {**one, "endpoints": []}]}
    )
