import re

from meshproxy.admin.document import document
from meshproxy.admin.pages import Admin, AdminRequest

LINK = re.compile(r'<a href="([^"]*)"[^>]*>(.*?)</a>')


def links(page: str) -> list[tuple[str, str]]:
    nav = re.search(r"<nav.*?</nav>", page, re.DOTALL)
    assert nav is not None
    return LINK.findall(nav[0])


def test_all_pages_lead_to_the_same_pages() -> None:
    first = links(Admin({})(AdminRequest("GET", "/")).body.decode())
    other = links(document("Help", ""))
    assert [name for _, name in first] == [name for _, name in other]
    assert [f"./{to}" if to[0] == "#" else to for to, _ in first[1:]] == [to for to, _ in other[1:]]


def test_the_page_that_is_shown_is_marked() -> None:
    page = document("Explain", "<p>text</p>")
    assert re.findall(r"<a [^>]*aria-current=page>(.*?)</a>", page) == ["Explain"]
    assert "<h2>Explain</h2>\n<p>text</p>" in page
