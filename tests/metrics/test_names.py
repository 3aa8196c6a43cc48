from pathlib import Path

from meshproxy.metrics.names import PLACES, markdown, patterns

DOCS = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def test_the_page_is_fresh() -> None:
    """If it is not: python -m tests.metrics.test_names."""
    assert DOCS.read_text() == markdown()


def test_no_name_is_listed_twice() -> None:
    names = [name for name, _ in patterns()]
    assert len(names) == len(set(names))


def test_every_meaning_is_a_sentence() -> None:
    texts = [place.about for place in PLACES] + [metric.meaning for _, metric in patterns()]
    assert [text for text in texts if not text.endswith(".") or "|" in text] == []


if __name__ == "__main__":
    DOCS.write_text(markdown())
