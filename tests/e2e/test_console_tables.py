"""The admin page with a thousand clients: few rows are drawn, and all can be reached."""

from collections.abc import Iterator, Sequence

import pytest

from meshproxy.metrics.tree import Tree
from tests.bench.console import add_clients, serve, show_all_rows
from tests.kit.chromium import Chromium, needs_chromium
from tests.kit.proxy import Proxy

pytestmark = needs_chromium

CLIENTS = 1000
MAX_ROWS = 120
"""Those in the document: what a window of 900 pixels shows, and as much above and below it."""
MAX_WRITTEN = 15 * MAX_ROWS
"""Each cell of those, once."""
CONFIG = """
admin: {port: 0}
routers:
- protocol: http
  label: egress
  dtab: /svc => /$/inet/127.1/1
  servers: [{port: 0, ip: 127.0.0.1}]
"""
TABLE = "[...document.querySelectorAll('.router > .wide > table')].at(-1)"
NAMES = f"[...{TABLE}.querySelectorAll(':scope > tbody > tr:not([aria-hidden], .details)')]"
DRAWN = "document.body.dataset.at"
FOCUSED = "document.activeElement.textContent"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


@pytest.fixture
def scopes(browser: Chromium) -> Iterator[Sequence[Tree]]:
    """Show a thousand clients in a browser; their metrics."""
    with Proxy(CONFIG) as proxy:
        found = add_clients(proxy.linker.metrics, CLIENTS)
        browser.complaints.clear()
        show_all_rows(browser, proxy, CLIENTS)
        yield found
        assert browser.complaints == []
        browser.open("about:blank")


def name(number: int) -> str:
    return f"/#/io.l5d.k8s/default/http/web-{number}"


def refresh(browser: Chromium) -> None:
    """Have the page ask at once, and wait for an answer that was made after this call."""
    for _ in range(2):
        browser.run(f"""window.drawn = {DRAWN};
            document.getElementById('every').dispatchEvent(new Event('change'))""")
        browser.wait_for(f"{DRAWN} !== window.drawn")


def scroll_to(browser: Chromium, share: float) -> None:
    """Scroll to this part of the page, and wait until there are rows in the window."""
    browser.run(f"scrollTo(0, {share} * document.documentElement.scrollHeight)")
    browser.wait_for(f"""{NAMES}.some((row) => {{
        const {{ top }} = row.getBoundingClientRect(); return top > 0 && top < innerHeight }})""")


def rows(browser: Chromium) -> list[list[str]]:
    """Return what is drawn: the number and the name of each row."""
    found: list[list[str]] = browser.run(
        f"{NAMES}.map((row) => [row.getAttribute('aria-rowindex'), row.cells[0].textContent])"
    )
    return found


def written(browser: Chromium, scopes: Sequence[Tree], share: float) -> int:
    """Return the number of changes of the document in a refresh after this *share* was served."""
    refresh(browser)
    serve(scopes, share)
    browser.run("""window.written = 0;
        window.watch = new MutationObserver((seen) => { written += seen.length });
        watch.observe(document.getElementById('routers'),
                 {attributes: true, childList: true, characterData: true, subtree: true})""")
    refresh(browser)
    count: int = browser.run("watch.disconnect(), written")
    return count


@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_refresh_writes_only_what_is_near_the_window(
    browser: Chromium, scopes: Sequence[Tree], place: float
) -> None:
    scroll_to(browser, place)
    assert written(browser, scopes, 0) < 20
    few = written(browser, scopes, 0.05)
    assert 0 < few < MAX_WRITTEN / 4
    assert few < written(browser, scopes, 1) < 2 * MAX_WRITTEN
    assert 0 < len(rows(browser)) < MAX_ROWS
    widths = "[...document.querySelectorAll('.is-long th')].map((one) => one.offsetWidth)"
    assert min(browser.run(widths)) > 40


@pytest.mark.usefixtures("scopes")
def test_rows_are_numbered_for_those_who_hear_the_page(browser: Chromium) -> None:
    assert browser.run(f"{TABLE}.ariaRowCount") == str(CLIENTS + 1)
    scroll_to(browser, 0.5)
    shown = rows(browser)
    assert 300 < int(shown[-1][0]) < 700
    assert [one for _, one in shown] == [name(int(index) - 2) for index, _ in shown]
    browser.run(f"{NAMES}.at(-2).querySelector('button').click()")
    assert browser.run(f"{TABLE}.ariaRowCount") == str(CLIENTS + 2)
    assert browser.run(f"{NAMES}.at(-1).ariaRowIndex - {NAMES}.at(-2).ariaRowIndex") == 2


@pytest.mark.usefixtures("scopes")
@pytest.mark.parametrize("width", [1280, 400])
def test_the_headings_stay_in_sight(browser: Chromium, width: int) -> None:
    browser.resize(width, 900)
    scroll_to(browser, 0.5)
    seen = f"""(() => {{ const title = {TABLE}.querySelector('th');
        const {{ left, top, height }} = title.getBoundingClientRect();
        return document.elementFromPoint(left + 10, top + height / 2) === title }})()"""
    assert browser.run(seen)
    assert browser.run("document.documentElement.scrollWidth") <= width
    cut = f"[...{TABLE}.querySelectorAll('th')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert browser.run(f"{cut}.map((one) => one.textContent)") == []


@pytest.mark.usefixtures("scopes")
def test_the_keyboard_reaches_every_row(browser: Chromium) -> None:
    browser.run(f"{NAMES}[0].querySelector('button').focus()")
    for number in range(1, 150):
        browser.press("Tab")
        assert browser.run(FOCUSED) == name(number)
        browser.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert len(rows(browser)) < MAX_ROWS


def test_the_focus_stays_with_a_row_that_is_scrolled_away_or_moves(
    browser: Chromium, scopes: Sequence[Tree]
) -> None:
    scroll_to(browser, 0.5)
    chosen = browser.run(
        f"(() => {{ const row = {NAMES}.at(5); row.querySelector('button').focus(); "
        "return row.cells[0].textContent })()"
    )
    scroll_to(browser, 0)
    refresh(browser)
    assert browser.run(FOCUSED) == chosen
    scopes[int(chosen.rpartition("-")[2])].counter("requests").incr(10**6)
    refresh(browser)
    assert rows(browser)[0][1] == chosen
    assert browser.run(FOCUSED) == chosen
    assert browser.run("scrollY") == 0


@pytest.mark.usefixtures("scopes")
def test_a_client_far_down_is_opened_and_stays_open(browser: Chromium) -> None:
    browser.run(f"location.hash = '#overview?router=egress&client={name(700)}'")
    browser.wait_for("document.querySelectorAll('.details').length === 1")
    assert browser.run(FOCUSED) == name(700)
    assert browser.run("document.getElementById('wanted').value") == ""
    place = "document.activeElement.getBoundingClientRect().top"
    assert browser.run(f"{place} > 0 && {place} < innerHeight")
    scroll_to(browser, 0)
    refresh(browser)
    assert [name(700)] == browser.run(
        "[...document.querySelectorAll('.details')]"
        ".map((one) => one.previousSibling.cells[0].textContent)"
    )
    browser.run("document.activeElement.click()")
    assert browser.run("document.querySelectorAll('.details').length") == 0


@pytest.mark.usefixtures("scopes")
def test_a_client_is_found_by_its_name(browser: Chromium) -> None:
    browser.run("""(() => { const field = document.getElementById('wanted');
        field.value = "web-77"; field.dispatchEvent(new Event("input", {bubbles: true})) })()""")
    browser.wait_for(f"{TABLE}.ariaRowCount === '12'")
    assert [one for _, one in rows(browser)] == [name(77), *map(name, range(770, 780))]
    assert "Clients: 11, of 1000 in all" in browser.text()
