"""`/requests.json`: the latest requests, by what is asked for; `/requests`: the same as a table.

(linkerd: telemetry/recent-requests/.../RecentRequestsAdminHandler.scala)
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import urlencode

from meshproxy.admin.document import document
from meshproxy.admin.pages import (
    HTML,
    JSON,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.admin.tap import PATH as TAP
from meshproxy.admin.tap import Tap
from meshproxy.metrics.tree import Tree
from meshproxy.recent.request import RecentRequest
from meshproxy.recent.requests import RecentRequests
from meshproxy.recent.wanted import Wanted

PATH: Final = "/requests.json"
PAGE: Final = "/requests"
LIMIT: Final = 100
"""Requests that are shown unless another number is asked for."""
MAX_LIMIT: Final = 1000
_COLUMNS: Final = (
    "Timestamp",
    "Source",
    "Server",
    "Router",
    "Request",
    "Logical Name",
    "Concrete Name",
    "Destination",
    "Status",
    "Latency (ms)",
    "Attempts",
    "Why",
    "Egress",
)


def requests_pages(
    recent: RecentRequests,
    metrics: Tree,
    refresh: Callable[[], None] | None = None,
    renew: Callable[[], None] | None = None,
) -> Mapping[str, AdminHandler]:
    """Returns the pages by path, which show *recent* after a call of *refresh*, and `/tap`.

    They take the parameters of `Wanted`, and the first two `limit`; see `Tap` for *renew*.
    """

    def page(show: Callable[[list[RecentRequest]], AdminResponse]) -> AdminHandler:
        def handle(request: AdminRequest) -> AdminResponse:
            if request.method != "GET":
                return refuse_method("GET", "HEAD")
            try:
                wanted, limit = Wanted.of(request.query), _limit(request.query.get("limit", ""))
            except ValueError as error:
                return text(f"{error}\n", 400)
            if refresh is not None:
                refresh()
            return show(recent.latest(wanted, limit))

        return handle

    return {PATH: page(_as_json), PAGE: page(_as_table), TAP: Tap(recent, metrics, renew)}


def _limit(written: str) -> int:
    if not written:
        return LIMIT
    if not written.isdecimal() or len(written) > 8:
        raise ValueError(f"limit is {written!r}, it must be a number")
    return min(int(written), MAX_LIMIT)


def _as_json(requests: Iterable[RecentRequest]) -> AdminResponse:
    found = {"requests": [one.describe() for one in requests]}
    return text(json.dumps(found), content_type=JSON)


def _as_table(requests: Iterable[RecentRequest]) -> AdminResponse:
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in _cells(one)) + "</tr>" for one in requests
    )
    return text(
        document(
            "Recent requests",
            "<p>Newest first; failed, slow and retried ones are kept longer.</p>\n"
            f'<table class="requests">\n<tr>{head}</tr>\n{rows}\n</table>',
        ),
        content_type=HTML,
    )


def _cells(request: RecentRequest) -> list[str]:
    """Returns the cells of a row as HTML."""
    ended = datetime.fromtimestamp(request.ended_at, UTC)
    shown = [
        ended.isoformat(sep=" ", timespec="milliseconds"),
        request.source,
        request.server,
        request.router,
        f"{request.method} {request.host}{request.path}",
        request.logical,
        request.bound,
        request.endpoint,
        "" if request.status is None else str(request.status),
        f"{request.latency_ms:.1f}",
        str(len(request.earlier) + 1),
        ": ".join(filter(None, (request.reason, request.why))),
        request.egress,
    ]
    cells = [escape(one) for one in shown]
    if request.logical:
        query = urlencode({"router": request.router, "path": request.logical})
        cells[5] = f'<a href="explain?{escape(query)}">{cells[5]}</a>'
    return cells
