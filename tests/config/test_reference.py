from pathlib import Path

from meshproxy.config import kinds
from meshproxy.config.reference import render, title
from meshproxy.config.tls import ServerTlsConfig

PAGE = Path(__file__).parent.parent.parent / "docs" / "config.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == render(), (
        "run: python -m meshproxy.config.reference > docs/config.md"
    )


def test_every_kind_is_on_the_page() -> None:
    page = render()
    reached = set(kinds.KINDS) - {"requestAuthorizers"}
    absent = [kind for category in reached for kind in kinds.known(category) if kind not in page]
    assert absent == []


def test_links_lead_to_sections() -> None:
    page = render()
    sections = {
        line[3:].lower().replace(" ", "-") for line in page.splitlines() if line[:3] == "## "
    }
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links - sections == set()


def test_classes_have_readable_titles() -> None:
    assert title(ServerTlsConfig) == "Server tls"
