"""`/help`: every path with what it is for, and what a fault report needs."""

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote

from meshproxy.admin.document import document

PATH: Final = "/help"
_METRICS: Final = "all metrics as JSON; <code>?q=TEXT</code> for some of them"
_POST: Final = "by POST, as the buttons of <a href='./#settings'>Settings</a> send it: "
_WHAT: Final = {
    "/": "problems first, then routers, clients and endpoints; requests, events, settings",
    "/admin": "all paths as text",
    "/admin/bug-report.zip": "what the proxy knows, for a fault report; without secrets",
    "/admin/drain": f"{_POST}not ready, but everything is served on",
    "/admin/endpoint": "by POST: marks an endpoint dead or alive; buttons are below each client",
    "/admin/index.txt": "all paths as text",
    "/admin/metrics": _METRICS,
    "/admin/metrics.json": _METRICS,
    "/admin/metrics/influxdb": "all metrics as lines for InfluxDB",
    "/admin/metrics/prometheus": "all metrics for Prometheus",
    "/admin/ping": "an answer, if the process runs",
    "/admin/reload": f"{_POST}reads the configuration again",
    "/admin/server_info": "versions, start and uptime",
    "/admin/shutdown": f"{_POST}finishes running requests and ends the process",
    "/admin/threads": "what greenlets wait for",
    "/admin/workers.json": "the worker processes",
    "/bound-names.json": "the names that namers know",
    "/client_state.json": "the addresses of each client in use",
    "/config.json": "the configuration as it was read; without secrets",
    "/delegator": "how a name is delegated by a dtab, also by one that you try out",
    "/delegator.json": "the same as JSON",
    "/discovery.json": "what discovery answered for each name, when, and since when it fails",
    "/endpoints.json": "the endpoints of a client: breaker, load, latency",
    "/events.json": "endpoints marked dead, addresses changed, reloads",
    "/explain": "where a name or a request goes, and why",
    "/help": "this page",
    "/live": "an answer, if the process runs",
    "/logging": "log levels, to be changed here",
    "/logging.json": "the same as JSON",
    "/metrics.json": _METRICS,
    "/overview.json": "what the page at / shows",
    "/ready": "200 if requests may be sent here, otherwise 503 and why not",
    "/requests": "the latest requests as a table",
    "/requests.json": "the latest requests as JSON",
    "/tap": "requests as they end, a line of JSON each",
}
_BELOW: Final = {
    "/namer_state/": "what this namer knows, and how its watches fare",
    "/": "",
}
"""The same for all paths below these."""
_EXAMPLES: Final = {"/tap": "?seconds=5"}
"""Parameters without which a path answers nothing."""
_NEEDS: Final = {
    "/delegator.json": "?namespace=ROUTER&path=/svc/NAME",
    "/endpoints.json": "?router=ROUTER&client=ID",
}
"""The same, where they have to be filled in."""
_REPORTING: Final = """\
<h2>What to include in a fault report</h2>
<ul>
<li>the request, the response, and what was expected: status, <code>l5d-err</code>, body</li>
<li><a href="admin/bug-report.zip">a file with what the proxy knows</a>: versions, configuration
without its secrets, metrics, state, events, the latest failures, and what waits</li>
<li>if it concerns one name, <a href="explain">its explanation</a></li>
<li>the log of the process; <a href="logging">/logging</a> makes it say more</li>
</ul>"""


def help_page(paths: Iterable[str], actions: Iterable[str]) -> str:
    """Returns the page about *paths*; those in *actions* want POST and are no links."""
    posted = frozenset(actions)
    rows = "\n".join(
        f"<tr><td>{_name(path, is_link=path not in posted)}</td><td>{_what(path)}</td></tr>"
        for path in paths
    )
    return document(
        "Help",
        f"{_REPORTING}\n<h2>All paths</h2>\n<table>\n"
        f"<tr><th>Path</th><th>What it has</th></tr>\n{rows}\n</table>",
    )


def _name(path: str, *, is_link: bool) -> str:
    name = escape(path)
    if path in _NEEDS:
        return f"{name}{escape(_NEEDS[path])}"
    if not is_link:
        return name
    query = _EXAMPLES.get(path, "")
    to = "./" + quote(path.removeprefix("/")).replace("/", "%2F", path.startswith("//")) + query
    return f'<a href="{escape(to)}">{name}{query}</a>'


def _what(path: str) -> str:
    return _WHAT.get(path) or next(
        what for prefix, what in _BELOW.items() if path.startswith(prefix)
    )
