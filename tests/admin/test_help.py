import re

import pytest

from meshproxy.admin.help import help_page


def rows(*paths: str, actions: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return the cells of all rows."""
    return re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", help_page(paths, actions))


@pytest.mark.parametrize(
    ("path", "cell", "what"),
    [
        ("/ready", '<a href="./ready">/ready</a>', "200 if requests may be sent here"),
        ("/", '<a href="./">/</a>', "problems first"),
        ("/tap", '<a href="./tap?seconds=5">/tap?seconds=5</a>', "requests as they end"),
        ("/delegator.json", "/delegator.json?namespace=ROUTER&amp;path=/svc/NAME", "the same"),
        ("/namer_state/a.json", '<a href="./namer_state/a.json">/namer_state/a.json</a>', "what"),
        ('/<"x">', '<a href="./%3C%22x%22%3E">/&lt;&quot;x&quot;&gt;</a>', ""),
        ("//evil.test", '<a href="./%2Fevil.test">//evil.test</a>', ""),
    ],
)
def test_a_path_is_linked_if_that_has_an_answer_and_told_what_it_is(
    path: str, cell: str, what: str
) -> None:
    ((shown, told),) = rows(path)
    assert shown == cell
    assert told.startswith(what)


def test_what_changes_the_process_is_neither_link_nor_button() -> None:
    ((shown, told),) = rows("/admin/shutdown", actions=("/admin/shutdown",))
    assert shown == "/admin/shutdown"
    assert "by POST" in told
    assert "<button" not in help_page(["/admin/shutdown"], ["/admin/shutdown"])
