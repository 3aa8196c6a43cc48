"""The admin page in a browser: what it shows is what was served, and nothing goes elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.chromium import Chromium, needs_chromium
from tests.kit.downstream import Answer, Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import get

pytestmark = needs_chromium

CONFIG = """
admin: {{port: 0}}
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  label: egress
  identifier: {{kind: io.l5d.path, segments: 1, consume: true}}
  dtab: /svc => /#/io.l5d.fs
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


def show(browser: Chromium, proxy: Proxy, width: int = 1280, *, dark: bool = False) -> str:
    """Open the page and wait until it shows the router; its address."""
    url = f"http://127.0.0.1:{proxy.linker.admin_port}/"
    browser.asked.clear()
    browser.complaints.clear()
    browser.open(url, width, dark=dark)
    browser.wait_for("document.querySelectorAll('.router tbody tr').length >= 4")
    return url


def cells(browser: Chromium, name: str) -> list[str]:
    """Return the texts of the row of *name*."""
    script = f"""[...document.querySelectorAll(".router tr")]
        .filter((row) => row.cells[0].textContent === {name!r})
        .map((row) => [...row.cells].map((cell) => cell.textContent))[0]"""
    found: list[str] = browser.run(script)
    return found


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
    assert {asked for asked in browser.asked if not asked.startswith(url)} == set()


def test_two_clicks_from_a_problem_is_the_endpoint_and_its_breaker(
    browser: Chromium, proxy: Proxy
) -> None:
    show(browser, proxy)
    assert "1 of 2 endpoints of /#/io.l5d.fs/web out" in browser.text()
    browser.run("document.querySelector('#problems button').click()")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 2")
    states = browser.run(
        "[...document.querySelectorAll('.details tbody tr')].map((row) => row.cells[1].innerText)"
    )
    assert sorted(state.partition(",")[0] for state in states) in (
        ["alive", "dead"],
        ["alive", "probe open"],
    )
    assert browser.complaints == []


def test_a_name_is_one_click_from_its_delegation(browser: Chromium, proxy: Proxy) -> None:
    assert get(proxy.port("egress"), "any", "/nowhere").status == 502
    show(browser, proxy)
    for name, end in (
        ("/svc/fine", "bound to /#/io.l5d.fs/fine: 127.0.0.1:"),
        ("/svc/nowhere", "~"),
    ):
        link = f"[...document.querySelectorAll('a')].find((one) => one.textContent === '{name}')"
        browser.run(f"{link}.click()")
        browser.wait_for("document.querySelectorAll('#tree li').length >= 2")
        assert end in browser.text()
        assert "/svc => /#/io.l5d.fs" in browser.text()
        show(browser, proxy)
    assert browser.complaints == []


def test_the_keyboard_is_enough(browser: Chromium, proxy: Proxy) -> None:
    show(browser, proxy)
    for _ in range(30):
        browser.press("Tab")
        if browser.run("document.activeElement.textContent") == "/#/io.l5d.fs/fine":
            break
    browser.press("Enter")
    browser.wait_for("document.querySelectorAll('.details tbody tr').length === 1")
    assert browser.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    browser.press("Enter")
    browser.wait_for("document.querySelectorAll('.details').length === 0")


@pytest.mark.parametrize("path", ["", "help", "logging", "delegator#/svc/fine"])
def test_a_narrow_window_in_the_dark_is_enough(browser: Chromium, proxy: Proxy, path: str) -> None:
    browser.open(show(browser, proxy, 400, dark=True) + path, 400, dark=True)
    browser.wait_for("document.readyState === 'complete' && document.body !== null")
    browser.wait_for("document.documentElement.scrollWidth <= 400")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    assert browser.complaints == []


def test_rows_are_made_once_and_only_what_changes_is_written(
    browser: Chromium, proxy: Proxy
) -> None:
    router = proxy.linker.metrics.scope("rt", "egress")
    for number in range(900):
        router.scope("client", f"#/many/{number}").counter("requests").incr()
    show(browser, proxy)
    browser.run("document.getElementById('every').click()")
    browser.wait_for("document.querySelectorAll('.router tbody tr').length > 900")
    browser.run("ask()")  # now there are two answers, and so rates
    browser.run("""window.written = 0; new MutationObserver((seen) => { written += seen.length })
        .observe(document.getElementById('routers'),
                 {childList: true, characterData: true, subtree: true})""")
    browser.run("ask()")
    assert browser.run("written") < 100
