"""Every threat on the page has tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/threats.md").read_text()
EGRESS = (TESTS.parent / "docs/egress-control.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| it tries ", "| --- "))
]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE + EGRESS)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_threat_has_an_answer_and_a_test(row: list[str]) -> None:
    assert len(row) == 3
    assert row[1]
    assert all(
        re.fullmatch(r"`[\w/]+\.py::test_\w+`", one) for one in row[2].rstrip(" |").split(", ")
    )


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_is_there(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE)


def test_all_five_kinds_of_peers_are_on_the_page() -> None:
    kinds = re.findall(r"^## An? (.+)$", PAGE, re.MULTILINE)
    assert kinds == ["client", "endpoint", "resolver", "Kubernetes API server", "page in a browser"]
    assert len(ROWS) > 50
