from pathlib import Path

from meshproxy.metrics.reference import markdown

DOCS = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def test_the_page_is_fresh() -> None:
    """If it is not: python -m meshproxy.metrics.reference > docs/metrics.md."""
    assert DOCS.read_text() == markdown()
