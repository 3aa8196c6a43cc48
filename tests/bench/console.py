"""What a browser spends on the page at `/`, all rows shown: `python -m tests.bench.console`.

The figure is `TaskDuration` of Chromium's main thread, in CPU time (`threadTicks`), which other
work on the machine does not lengthen, between two refreshes: JSON, script, style, layout, painting.
"""

from gevent import monkey

monkey.patch_all()

from collections.abc import Mapping, Sequence  # noqa: E402 (the patch comes first)
from statistics import median  # noqa: E402
from typing import Final  # noqa: E402

from meshproxy.metrics.tree import Tree  # noqa: E402
from tests.kit.chromium import Chromium  # noqa: E402
from tests.kit.proxy import Proxy  # noqa: E402

CLIENTS: Final = 1000
REFRESHES: Final = 5
GOAL_MS: Final = 100.0
KINDS: Final = {"no row changes": 0.0, "5 % of the rows change": 0.05, "all rows change": 1.0}
"""What is measured, and the share of the clients that are counted at between two refreshes."""
_CONFIG: Final = """
admin: {port: 0}
routers:
- protocol: http
  label: egress
  dtab: /svc => /$/inet/127.1/1
  servers: [{port: 0, ip: 127.0.0.1}]
"""
_REFRESHED: Final = """new Promise((done) => new MutationObserver((_, watch) => {
  watch.disconnect();
  setTimeout(done, 1000);
}).observe(document.body, {attributes: true}))"""
"""Ends a second after a refresh, which is drawn by then; the next one is a second away."""


def measure_console(clients: int = CLIENTS, refreshes: int = REFRESHES) -> dict[str, list[float]]:
    """Return the ms of each refresh, by what changes."""
    with Proxy(_CONFIG) as proxy, Chromium() as browser:
        scopes = add_clients(proxy.linker.metrics, clients)
        show_all_rows(browser, proxy, clients)
        browser.call("Performance.enable", timeDomain="threadTicks")
        for _ in range(2):  # now there are two answers, and so rates
            browser.run(_REFRESHED)
        return {
            kind: [_refresh(browser, scopes, share, turn) for turn in range(refreshes)]
            for kind, share in KINDS.items()
        }


def add_clients(metrics: Tree, count: int) -> list[Tree]:
    """Add clients that have served something, the most used first; their scopes."""
    clients = metrics.scope("rt", "egress", "client")
    scopes = [clients.scope(f"#/io.l5d.k8s/default/http/web-{number}") for number in range(count)]
    for number, scope in enumerate(scopes):
        for name in ("size", "available"):
            scope.gauge("loadbalancer", name, fn=lambda: 3)
        scope.counter("requests").incr(100 * (count - number))
    return scopes


def serve(scopes: Sequence[Tree], share: float, turn: int = 0) -> None:
    """Count requests at this share of *scopes*, as many more as keeps their order."""
    for number, scope in enumerate(scopes):
        if number * 7919 % len(scopes) < share * len(scopes):
            requests = (number * 31 + turn * 17) % 53 + 1
            for name in ("requests", "success"):
                scope.counter(name).incr(requests)
            scope.stat("request_latency_ms").add(requests)


def show_all_rows(browser: Chromium, proxy: Proxy, clients: int) -> None:
    """Open the page, and wait until it has all rows."""
    browser.open(f"http://127.0.0.1:{proxy.linker.admin_port}/")
    browser.wait_for("document.querySelectorAll('.router tbody tr').length > 0")
    browser.run("document.getElementById('every').click()")
    browser.wait_for(
        "[...document.querySelectorAll('.router table')]"
        f".some((one) => one.ariaRowCount > {clients})"
    )


def _refresh(browser: Chromium, scopes: Sequence[Tree], share: float, turn: int) -> float:
    serve(scopes, share, turn)
    before = _spent(browser)
    browser.run(_REFRESHED)
    return _spent(browser) - before


def _spent(browser: Chromium) -> float:
    """Return the ms of the main thread up to now."""
    metrics = browser.call("Performance.getMetrics")["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return seconds * 1000


def markdown(found: Mapping[str, Sequence[float]]) -> str:
    """Return a table of the medians, with the longest refreshes."""
    lines = ["| what changes | median | longest | goal |", "| --- | --- | --- | --- |"]
    for kind, ms in found.items():
        lines.append(f"| {kind} | {median(ms):.0f} ms | {max(ms):.0f} ms | {GOAL_MS:g} ms |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(measure_console()))
