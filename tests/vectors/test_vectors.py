"""Every shared case passes, and the command says so."""

from pathlib import Path
from typing import Any

import pytest

from tests.vectors.__main__ import main
from tests.vectors.runner import GROUPS, KINDS, cases_of, run

FILES = sorted((Path(__file__).parent.parent / "corpus" / "vectors").glob("*.yaml"))
CASES = [
    pytest.param(case, id=case["id"])
    for file in FILES
    for case in cases_of(file)
    if case.get("kind") in KINDS or case.get("group") in GROUPS
]


@pytest.mark.parametrize("case", CASES)
def test_the_case_passes(case: dict[str, Any]) -> None:
    assert run(case) is None


def test_every_kind_of_naming_case_is_known() -> None:
    [file] = [file for file in FILES if file.name == "naming.yaml"]
    assert {case["kind"] for case in cases_of(file)} <= KINDS.keys()


def test_a_case_about_headers_fails_on_what_is_missing_and_on_what_is_left() -> None:
    request = {"method": "GET", "uri": "/", "version": "1.1", "headers": [["Host", "a"]]}
    given = {"stage": "server", "request": request}
    for expect in ({"present": {"X": ["1"]}}, {"present": {"Host": ["b"]}}, {"absent": ["Host"]}):
        case = {"id": "x", "kind": "header_rewrite", "given": given, "expect": expect}
        assert run(case) is not None


def test_a_case_of_a_group_fails_on_another_class() -> None:
    case = {"id": "x", "group": "grpc_classifier", "kind": "default", "status": 503, "when": "head"}
    assert run({**case, "expect": "failure"}) is None
    assert run({**case, "expect": "success"}) is not None


def test_a_rate_of_one_is_as_good_as_none() -> None:
    given = {"prefix": "p", "scope": ["a"], "type": "stat", "value": 1, "sample_rate": 1.0}
    for line, passes in {"p.a:1|ms": True, "p.a:1|ms|@1.0": True, "p.a:1|ms|@0.5": False}.items():
        case = {"id": "x", "kind": "statsd_line", "given": given, "expect": {"line": line}}
        assert (run(case) is None) is passes


def cases_file(folder: Path, *lines: str) -> str:
    file = folder / "cases.yaml"
    file.write_text("cases:\n" + "\n".join(lines))
    return str(file)


def test_passing_cases_exit_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = cases_file(tmp_path, "- {id: a, kind: path_show, segments: [a], show: /a}")
    assert main([file]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


@pytest.mark.parametrize(
    ("line", "expected", "got"),
    [
        pytest.param(
            "- {id: x, kind: path_show, segments: [a], show: /b}", "/b", "/a", id="wrong-answer"
        ),
        pytest.param("- {id: x, kind: nope}", "a kind among", "an unknown kind", id="unknown-kind"),
        pytest.param(
            "- {id: x, kind: path_parse, in: a, segments: [a], show: /a}",
            "no exception",
            "ParseError: '/' expected",
            id="exception",
        ),
        pytest.param(
            "- {id: x, kind: path_error, in: /a, error: nope}", "nope", "no error", id="no-error"
        ),
        pytest.param("- 5", "a mapping", "5", id="no-mapping"),
    ],
)
def test_a_failing_case_is_shown_with_expected_and_got(
    line: str, expected: str, got: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([cases_file(tmp_path, line)]) == 1
    *_, wanted, found, last = capsys.readouterr().out.splitlines()
    assert last == "0 passed, 1 failed"
    assert wanted.startswith(f"  expected: {expected}")
    assert found.startswith(f"  got:      {got}")


@pytest.mark.parametrize("content", ["cases: 5", "[", "5"])
def test_a_file_without_cases_counts_as_failed(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    assert main([str(file), str(tmp_path / "missing.yaml")]) == 1
    assert capsys.readouterr().out.endswith("0 passed, 2 failed\n")


def test_no_file_is_a_usage_error() -> None:
    assert main([]) == 2
