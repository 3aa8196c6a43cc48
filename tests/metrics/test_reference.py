from pathlib import Path

from meshproxy.metrics.reference import render

PAGE = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == render(), (
        "run: python -m meshproxy.metrics.reference > docs/metrics.md"
    )
