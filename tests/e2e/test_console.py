"""The admin page in a browser: what it shows is what was served, and nothing goes elsewhere."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.timeline import Kind, timeline
from tests.e2e.test_command import Serving
from tests.kit.chromium import Chromium, needs_chromium
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get

from .test_workers import with_workers

pytestmark = needs_chromium

CONFIG = """
admin: {{port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {names}}}
- {{kind: io.l5d.consul, port: 1, token: s3cret, prefix: /gone}}
telemetry: [{{kind: io.l5d.recentRequests, sampleRate: 1.0}}]
routers:
- protocol: http
  label: egress
  identifier: {{kind: io.l5d.path, segments: 1, consume: true}}
  dtab: |
    /svc => /#/io.l5d.fs ;
    /svc/away => /#/gone/dc1 ;
  egress: {{}}
  servers: [{{port: 0, ip: 127.0.0.1}}]
  client: {{failureAccrual: {{kind: io.l5d.consecutiveFailures, failures: 2}}}}
"""
HOSTILE = "<img src=x onerror=document.title=1>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Return a proxy that has served 20 requests well; one of the two endpoints fails."""
    with (
        Downstream(lambda _: b"served") as fine,
        Downstream(lambda _: Answer(status=503)) as failing,
        Proxy(CONFIG.format(names=tmp_path)) as running,
    ):
        both = (fine, failing)
        (tmp_path / "web").write_text("".join(f"127.0.0.1 {one.port}\n" for one in both))
        (tmp_path / "fine").write_text(f"127.0.0.1 {fine.port}\n")
        for _ in range(20):
            assert get(running.port("egress"), "any", "/fine").status == 200
        while get(running.linker.admin_port, "localhost", "/overview.json").body.count(b" out") < 1:
            get(running.port("egress"), "any", "/web")
        yield running


def show(
    browser: Chromium, proxy: Proxy, width: int = 1280, tab: str = "", *, dark: bool = False
) -> str:
    """Open the page, and wait until it shows *tab*; its address."""
    url = f"http://127.0.0.1:{proxy.linker.admin_port}/"
    browser.open("about:blank", width, dark=dark)
    browser.asked.clear()
    browser.complaints.clear()
    browser.open(url + tab, width, dark=dark)
    browser.wait_for(f"document.querySelectorAll({ROWS[tab.partition('?')[0]]!r}).length > 0")
    return url


ROWS = {
    "": ".router tbody tr:nth-child(2)",
    "#overview": ".router tbody tr",
    "#requests": "#requests-table tbody tr",
    "#events": "#events-table tbody tr",
    "#discovery": "#discovery-table tbody tr",
    "#settings": "#levels tbody tr",
}
"""What a tab has when it is shown."""

EXPLAINED = "explain?path=/svc/away"

WIDER = """[...document.querySelectorAll('.wide, pre, textarea')]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth)
    .map((one) => one.id || one.className || one.tagName)"""
"""What would have to be scrolled sideways."""

STATE = "document.querySelector('.details tbody td.number')?.innerText"
"""The state of the first endpoint that is shown."""


def cells(browser: Chromium, name: str) -> list[str]:
    """Return the texts of the row of *name*."""
    script = f"""[...document.querySelectorAll(".router tr")]
        .filter((row) => row.cells[0].textContent === {name!r})
        .map((row) => [...row.cells].map((cell) => cell.textContent))[0]"""
    found: list[str] = browser.run(script)
    return found


def column(browser: Chromium, table: str, number: int) -> list[str]:
    """Return the texts of a column of the rows that the table in the element *table* has drawn."""
    script = f"""[...document.querySelectorAll("#{table} tbody tr:not(.details, [aria-hidden])")]
        .map((row) => row.cells[{number}].textContent)"""
    found: list[str] = browser.run(script)
    return found


def click(browser: Chromium, text: str, within: str = "body") -> None:
    """Click the link or button that shows *text*."""
    script = f"""[...document.querySelectorAll("{within} a, {within} button")]
        .find((one) => one.textContent === {text!r} && one.checkVisibility()).click()"""
    browser.run(script)


def write(browser: Chromium, field: str, text: str) -> None:
    """Write *text* into the field."""
    browser.run(
        f"""(() => {{ const field = document.querySelector({field!r}); field.value = {text!r};
        field.dispatchEvent(new Event("input", {{bubbles: true}})) }})()"""
    )


# --- the overview ---


def test_numbers_are_those_of_the_traffic_and_nothing_is_asked_elsewhere(
    browser: Chromium, proxy: Proxy
) -> None:
    proxy.linker.metrics.scope("rt", "egress", "client", HOSTILE).counter("requests")
    url = show(browser, proxy)
    fine = cells(browser, "/svc/fine")
    assert fine[3:6] == ["100 %", "20", "0"]
    assert cells(browser, "/#/io.l5d.fs/fine")[1] == "1 of 1"
    assert cells(browser, "/#/io.l5d.fs/web")[1] == "1 of 2"
    assert HOSTILE in browser.text()
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.title") == "meshproxy"
    assert browser.complaints == []
    assert {asked for asked in browser.asked if not asked.startswith((url, "about:"))} == set()


def test_two_clicks_from_a_problem_is_the_endpoint_its_breaker_and_its_requests(
    browser: Chromium, proxy: Proxy
) -> None:
    show(browser, proxy)
    text = browser.run("document.querySelector('#problems a').textContent")
    assert text.startswith("1 of 2 endpoints of /#/io.l5d.fs/web out")
    browser.run("document.querySelector('#problems a').click()")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    states = browser.run(
        "[...document.querySelectorAll('.details tbody tr')].map((row) => row.cells[1].innerText)"
    )
    assert "1, 1 idle" in browser.text()
    assert sorted(states) in (["alive", "dead"], ["alive", "out, next request probes"])
    browser.run("""[...document.querySelectorAll('.details tbody tr')]
        .find((row) => row.cells[1].innerText !== "alive").querySelector("a").click()""")
    browser.wait_for("document.querySelectorAll('#requests-table tbody tr').length > 0")
    assert set(column(browser, "requests-table", 1)) == {"503"}
    assert browser.complaints == []


def test_a_problem_that_is_not_shown_is_looked_for(browser: Chromium, proxy: Proxy) -> None:
    show(browser, proxy)
    write(browser, "#wanted", "fine")
    browser.wait_for("document.querySelectorAll('.router tbody tr').length === 2")
    browser.run("document.querySelector('#problems a').click()")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    assert browser.run("document.activeElement.textContent") == "/#/io.l5d.fs/web"


def test_an_endpoint_is_marked_dead_and_alive_by_its_buttons(
    browser: Chromium, proxy: Proxy
) -> None:
    show(browser, proxy)
    click(browser, "/#/io.l5d.fs/fine")
    for state in ("dead", "alive"):
        button = f"button[aria-label$='{state}']"
        browser.wait_for(f'document.querySelectorAll("{button}").length === 1')
        click(browser, f"Mark {state}")
        browser.wait_for(
            f"document.querySelector('.details tbody td.number').innerText == {state!r}"
        )
        said = browser.run("document.getElementById('said').textContent")
        assert f"is {state}" in said
    show(browser, proxy, tab="#events")
    assert "marked alive by hand" in column(browser, "events-table", 3)
    assert browser.complaints == []


def test_a_name_is_one_click_from_its_delegation(browser: Chromium, proxy: Proxy) -> None:
    assert get(proxy.port("egress"), "any", "/nowhere").status == 502
    for name, end in (
        ("/svc/fine", "bound to /#/io.l5d.fs/fine: 127.0.0.1:"),
        ("/svc/nowhere", "~"),
    ):
        show(browser, proxy)
        click(browser, name)
        browser.wait_for("document.querySelectorAll('#tree li').length >= 2")
        assert end in browser.text()
        assert "/svc => /#/io.l5d.fs" in browser.text()
    assert browser.complaints == []


def test_a_name_that_is_no_url_is_delegated_all_the_same(browser: Chromium, proxy: Proxy) -> None:
    url = show(browser, proxy)
    browser.open(f"{url}delegator#/svc/100%")
    browser.wait_for("document.querySelectorAll('#tree li, #tree .bad').length > 0")
    assert browser.run("document.getElementById('path').value") == "/svc/100%"
    assert browser.complaints == []


@pytest.mark.parametrize("path", ["help//", "delegator/?router=egress", "explain/"])
def test_a_slash_at_the_end_of_a_page_breaks_no_link(
    browser: Chromium, proxy: Proxy, path: str
) -> None:
    url = show(browser, proxy)
    browser.open(url + path)
    page = path.replace("/", "")
    browser.wait_for(f"location.href === {url + page!r} && document.readyState === 'complete'")
    assert browser.complaints == []


def test_the_keyboard_is_enough(browser: Chromium, proxy: Proxy) -> None:
    show(browser, proxy)
    for _ in range(40):
        browser.press("Tab")
        if browser.run("document.activeElement.textContent") == "/#/io.l5d.fs/fine":
            break
    browser.press("Enter")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 1")
    assert browser.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "Mark dead"
    browser.press("Enter")
    browser.wait_for(f"{STATE} === 'dead'")


def test_a_proxy_that_answers_no_more_is_not_told_to_be_well(
    browser: Chromium, tmp_path: Path
) -> None:
    with Proxy(CONFIG.replace("- {{kind: io.l5d.consul", "# ").format(names=tmp_path)) as proxy:
        show(browser, proxy, tab="#settings")
        verdict = "document.getElementById('verdict').innerText"
        browser.wait_for(f"{verdict} === 'All is well'")
    browser.wait_for(f"{verdict}.startsWith('No answer since ')")
    assert "bad" in browser.run("document.getElementById('state').className")


def test_what_is_out_comes_first_and_a_router_without_requests_has_no_chart(
    browser: Chromium, proxy: Proxy
) -> None:
    show(browser, proxy)
    click(browser, "/#/io.l5d.fs/web")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    assert browser.run(STATE) != "alive"
    chart = "document.querySelector('.spark svg').checkVisibility()"
    browser.wait_for(chart)
    with Proxy(CONFIG.format(names=proxy.linker.config.namers[0].root_dir)) as quiet:
        show(browser, quiet, tab="#settings")
        browser.run("location.hash = '#overview'")
        browser.wait_for("document.querySelectorAll('.spark').length === 1")
        assert not browser.run(chart)
        assert "No request in the last" in browser.text()


# --- the other tabs ---


def test_a_recent_request_is_found_and_opened(browser: Chromium, proxy: Proxy) -> None:
    assert get(proxy.port("egress"), "any", "/nowhere/" + "%3Cimg%20src=x%3E").status == 502
    show(browser, proxy, tab="#requests?status=5xx")
    assert browser.run("document.querySelector('[name=status]').value") == "5xx"
    assert set(column(browser, "requests-table", 1)) == {"502", "503"}
    write(browser, "#requests-filter [name=q]", "nowhere")
    browser.wait_for("document.querySelectorAll('#requests-table tbody tr').length === 1")
    assert column(browser, "requests-table", 2) == ["GET any/%3Cimg%20src=x%3E"]
    assert browser.run("location.hash") == "#requests?q=nowhere&status=5xx"
    browser.run("document.querySelector('#requests-table tbody button').click()")
    browser.wait_for("document.querySelectorAll('.lanes .track').length >= 1")
    assert "attempt 1" in browser.text()
    write(browser, "#requests-filter [name=q]", "/web")
    browser.wait_for("document.querySelectorAll('#requests-table tbody tr').length > 2")
    assert "GET any/%3Cimg%20src=x%3E" in column(browser, "requests-table", 2)
    click(browser, "/svc/nowhere", "#requests-table")
    browser.wait_for("location.pathname === '/explain' && document.readyState === 'complete'")
    assert "/svc => /#/io.l5d.fs" in browser.text()
    assert browser.complaints == []


def test_discovery_that_fails_is_a_problem_and_leads_to_its_state(
    browser: Chromium, proxy: Proxy, tmp_path: Path
) -> None:
    assert get(proxy.port("egress"), "any", "/away").status == 502
    show(browser, proxy)
    browser.wait_for("document.body.innerText.includes('/#/gone fails for ')")
    browser.run("[...document.querySelectorAll('#problems a')].at(-1).click()")
    browser.wait_for("document.querySelectorAll('#discovery-table tbody tr').length > 0")
    first, *others = column(browser, "discovery-table", 2)
    assert first.startswith("fails since ")
    assert "refused" in first
    files = [f"{tmp_path}/{name}" for name in ("fine", "web")]
    assert column(browser, "discovery-table", 0)[1:] == files
    assert others == ["in use", "in use"]
    assert browser.complaints == []


def test_events_tell_what_happened_and_escape_it(browser: Chromium, proxy: Proxy) -> None:
    for number in range(120):  # more than are drawn at once
        timeline.note(Kind.ADDRESSES, f"name {number}", "has moved")
    timeline.note(Kind.ADDRESSES, HOSTILE, HOSTILE)
    show(browser, proxy, tab="#events")
    assert HOSTILE in column(browser, "events-table", 2)
    assert browser.run("document.querySelectorAll('img').length") == 0
    write(browser, "#events-wanted", "failures in a row: status 503")
    browser.wait_for("""[...document.querySelectorAll('#events-table tbody tr')]
        .every((row) => row.cells[3]?.textContent.includes("2 failures in a row: status 503"))""")
    click(browser, "/#/io.l5d.fs/web", "#events-table")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    assert browser.complaints == []


def test_settings_set_a_level_drain_and_show_no_secret(browser: Chromium, proxy: Proxy) -> None:
    logger = logging.getLogger("meshproxy.var")
    before = logger.level
    show(browser, proxy, tab="#settings")
    try:
        browser.run("""(() => { const form = document.querySelector("[value='meshproxy.var']").form;
            form.elements.level.value = "CRITICAL"; form.requestSubmit() })()""")
        browser.wait_for("document.getElementById('said').textContent.includes('CRITICAL')")
        assert logger.level == logging.CRITICAL
    finally:
        logger.setLevel(before)
    click(browser, "Drain: not ready, serve on")
    browser.wait_for("document.body.innerText.includes('Not ready: draining')")
    click(browser, "End draining")
    browser.wait_for("!document.body.innerText.includes('Not ready: draining')")
    shown = browser.run("document.getElementById('configuration').textContent")
    assert "io.l5d.consul" in shown
    assert "s3cret" not in shown
    assert browser.complaints == []


def test_controls_that_are_closed_are_not_offered(browser: Chromium, tmp_path: Path) -> None:
    closed = "admin: {port: 0, security: {controlEnabled: false}}"
    with Downstream(lambda _: b"served") as origin:
        (tmp_path / "web").write_text(f"127.0.0.1 {origin.port}")
        config = CONFIG.format(names=tmp_path).replace("admin: {port: 0}", closed)
        with Proxy(config) as proxy:
            assert get(proxy.port("egress"), "any", "/web").status == 200
            show(browser, proxy, tab="#overview")
            browser.wait_for("document.querySelectorAll('.controls form').length === 0")
            click(browser, "/#/io.l5d.fs/web")
            browser.wait_for(f"{STATE} === 'alive'")
            assert browser.run("document.querySelectorAll('form').length") == 0
            assert b"<form" not in get(proxy.linker.admin_port, "localhost", "/logging").body


@pytest.mark.parametrize(
    "tab", [*ROWS, "help", "logging", "requests", "delegator#/svc/fine", EXPLAINED]
)
def test_a_narrow_window_in_the_dark_is_enough_and_every_link_leads_on(
    browser: Chromium, proxy: Proxy, tab: str
) -> None:
    assert get(proxy.port("egress"), "any", "/away").status == 502
    url = show(browser, proxy, 400, tab if tab in ROWS else "", dark=True)
    if tab not in ROWS:
        browser.open(url + tab, 400, dark=True)
        browser.wait_for("document.readyState === 'complete' && document.body !== null")
    if tab == "":
        click(browser, "/#/io.l5d.fs/web")
        browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    browser.wait_for("document.documentElement.scrollWidth <= 400")
    assert browser.run(WIDER) == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    links = browser.run("[...document.querySelectorAll('a')].map((one) => one.href.split('#')[0])")
    for link in sorted(set(links)):
        assert link.startswith(url)
        browser_asks = "Accept: text/html"
        path = link.removeprefix(url[:-1])
        assert get(proxy.linker.admin_port, "localhost", path, browser_asks).status == 200, link
    assert browser.complaints == []


def test_workers_are_shown_as_one_proxy(browser: Chromium, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.mkdir()
    with Downstream(lambda _: b"served") as origin:
        (names / "web").write_text(f"127.0.0.1 {origin.port}")
        serving = Serving(with_workers(CONFIG.format(names=names), 2), tmp_path)
        with serving.daemon:
            for _ in range(10):
                assert get(serving.port, "any", "/web").status == 200
            browser.complaints.clear()
            browser.open(f"http://127.0.0.1:{serving.admin_port}/")
            browser.wait_for("document.querySelectorAll('#workers tbody tr').length === 2")
            browser.wait_for("document.querySelectorAll('.router tbody tr').length === 2")
            wait_until(lambda: cells(browser, "/svc/web")[4] == "10")
            click(browser, "/#/io.l5d.fs/web")
            browser.wait_for("document.querySelectorAll('.details tbody tr').length >= 1")
            assert "worker " in browser.run("document.querySelector('.details').innerText")
            for tab in ("requests", "events", "settings"):
                browser.run(f"location.hash = '#{tab}'")
                browser.wait_for(f"document.querySelectorAll({ROWS['#' + tab]!r}).length > 0")
            assert browser.complaints == []
