"""`/explain`: where a name or a request goes and why, as JSON, and as a page for browsers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from meshproxy.admin.asked import asked_request
from meshproxy.admin.delegator import MAX_ENTRIES
from meshproxy.admin.document import document
from meshproxy.admin.explained import lines_of, summary
from meshproxy.admin.explanation import Asked, Explainable, explain
from meshproxy.admin.pages import (
    HTML,
    JSON,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path

PATH: Final = "/explain"
WAIT_S: Final = 2.0
MAX_WAIT_S: Final = 5.0
_INDENTED_BYTES: Final = 16_384
_FIELDS: Final = (("path", "Name", "/svc/web"), ("request", "or a request", "GET http://web/a"))


def explain_json(routers: Mapping[str, Explainable | None]) -> AdminHandler:
    """Returns the handler of the JSON for *routers* by their labels; None if one cannot tell.

    It takes `router` (the first if not given), `path` or `request` with `header` (a field a line),
    `dtab` (entries after those of the router), and `wait`, at most 5 seconds.
    """

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        query = request.query
        label = query.get("router") or next(iter(routers), "")
        if label not in routers:
            return text(f"There is no router {label}\n", 404)
        router = routers[label]
        if router is None:
            return text("The interpreter of this router cannot tell its steps\n", 501)
        try:
            asked = _asked(query)
            seconds = min(float(query.get("wait", WAIT_S)), MAX_WAIT_S)
        except ValueError as error:
            return text(f"{error}\n", 400)
        try:
            return text(json.dumps(explain(router, asked, seconds)), content_type=JSON)
        except RecursionError:
            return text("The tree is too deep to be shown\n", 500)

    return handle


def explain_page(answer: AdminHandler, routers: Iterable[str]) -> AdminHandler:
    """Returns the handler that shows what *answer* says of *routers*: to browsers as a page."""

    def handle(request: AdminRequest) -> AdminResponse:
        is_page = request.query.get("format", "html" if "text/html" in request.accept else "json")
        if request.method != "GET" or is_page == "json":
            return _indented(answer(request))
        form = _form(request.query, routers)
        if not (request.query.get("path") or request.query.get("request")):
            return _page(form)
        found = answer(request)
        if found.status != 200:
            return _page(f'{form}<p class="bad">{escape(found.body.decode())}</p>', found.status)
        return _page(form + "\n".join(_shown(json.loads(found.body))))

    return handle


def _asked(query: Mapping[str, str]) -> Asked:
    """Reads the parameters. Raises ValueError with what is wrong."""
    written, request = query.get("path", ""), query.get("request", "")
    if not written and not request:
        raise ValueError("Add ?path= with a name such as /svc/web, or ?request=")
    try:
        path = Path.parse(written) if written else None
    except ValueError as error:
        raise ValueError(f"Invalid path: {error}") from error
    try:
        override = Dtab.parse(query.get("dtab", ""), limit=MAX_ENTRIES)
    except ValueError as error:
        raise ValueError(f"Invalid dtab: {error}") from error
    fields = query.get("header", "").splitlines()
    return Asked(path, asked_request(request, fields) if request else None, override)


def _indented(answer: AdminResponse) -> AdminResponse:
    """Returns *answer* indented unless it is long: a deep tree would be megabytes of spaces."""
    if answer.content_type != JSON or len(answer.body) > _INDENTED_BYTES:
        return answer
    return text(json.dumps(json.loads(answer.body), indent=2), answer.status, JSON)


def _page(body: str, status: int = 200) -> AdminResponse:
    return text(document("Explain", body), status, HTML)


def _form(query: Mapping[str, str], labels: Iterable[str]) -> str:
    chosen = query.get("router")
    options = "".join(
        f"<option{' selected' if one == chosen else ''}>{escape(one)}</option>" for one in labels
    )
    inputs = "".join(
        f'<p><label>{label} <input name="{name}" size="40" spellcheck="false" '
        f'placeholder="{example}" value="{escape(query.get(name, ""))}"></label></p>\n'
        for name, label, example in _FIELDS
    )
    return (
        f'<form class="ask" action="explain">\n'
        f'<p><label>Router <select name="router">{options}</select></label></p>\n{inputs}'
        '<p><label>Header fields, a line each<br><textarea name="header" rows="2" cols="50">'
        f"{escape(query.get('header', ''))}</textarea></label></p>\n"
        '<p><label>Entries after those of the router<br><textarea name="dtab" rows="2" cols="50">'
        f"{escape(query.get('dtab', ''))}</textarea></label></p>\n"
        "<p><button>Explain</button></p>\n</form>\n"
    )


def _shown(found: Mapping[str, Any]) -> Iterator[str]:
    """Yields the parts of the page."""
    kind = "good" if found["bound"] else "bad"
    told = f"{found['path'] or 'It'}: {summary(found)}"
    yield f'<p class="{kind}" role="status">{escape(told)}</p>'
    for heading, lines in lines_of(found):
        shown = "\n".join(escape(line) for line in lines)
        yield f"<h2>{escape(heading)}</h2>\n<pre>{shown}</pre>"
