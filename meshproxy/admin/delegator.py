"""`/delegator.json`: how a name is delegated, and `/delegator`, the page that asks it.

linkerd: linkerd/admin/.../DelegationHandler.scala, namerd/.../DelegateHandler.scala
"""

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from meshproxy.admin.delegating import delegated
from meshproxy.admin.delegation_tree import delegation_tree
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
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Pending

PATH: Final = "/delegator.json"
PAGE: Final = "/delegator"
WAIT_S: Final = 2.0
"""So long namers and resolvers have for their first answers."""
MAX_ENTRIES: Final = 1000


class Delegator(NamedTuple):
    """What can be asked about the names of a router."""

    dtab: Dtab
    delegate: Callable[[Dtab, Path], Activity[Delegation]] | None
    """Follows a name through a table; None if the interpreter cannot tell its steps."""


class _Refused(Exception):
    """A question that cannot be answered: *status*, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def delegator_json(routers: Mapping[str, Delegator]) -> AdminHandler:
    """Returns the handler of the page for *routers*, which are known by their labels.

    It takes `namespace`, which is a label, `path` and `dtab`, by default that of the router, as
    parameters or as a JSON object.
    """

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method not in {"GET", "POST"}:
            return refuse_method("GET", "HEAD", "POST")
        try:
            return _answer(routers, request.query if request.method == "GET" else _posted(request))
        except _Refused as refused:
            return text(f"{refused}\n", refused.status)

    return handle


def delegator_page(dtabs: Mapping[str, Dtab]) -> AdminHandler:
    """Returns the handler of the page to ask by, for routers by their labels."""

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        label = request.query.get("router") or next(iter(dtabs), "")
        if label not in dtabs:
            return text(f"There is no router {label}.\n", 404)
        return text(_page(label, dtabs), content_type=HTML)

    return handle


def _posted(request: AdminRequest) -> Mapping[str, str]:
    if request.content_type.partition(";")[0].strip().lower() != JSON:
        raise _Refused(415, f"Unsupported content type, {JSON} is needed")
    try:
        fields = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"Malformed delegation request: {error}") from error
    if not isinstance(fields, dict) or not all(isinstance(one, str) for one in fields.values()):
        raise _Refused(400, "Malformed delegation request: an object of texts is needed")
    return fields


def _answer(routers: Mapping[str, Delegator], fields: Mapping[str, str]) -> AdminResponse:
    missing = [name for name in ("namespace", "path") if name not in fields]
    if missing:
        raise _Refused(400, f"Malformed delegation request: {missing[0]} is missing")
    router = routers.get(fields["namespace"])
    if router is None:
        raise _Refused(404, f"There is no router {fields['namespace']}")
    if router.delegate is None:
        raise _Refused(501, "The interpreter of this router cannot tell its steps")
    try:
        dtab = Dtab.parse(fields["dtab"], limit=MAX_ENTRIES) if "dtab" in fields else router.dtab
    except ValueError as error:
        raise _Refused(400, f"Invalid dtab: {error}") from error
    try:
        path = Path.parse(fields["path"])
    except ValueError as error:
        raise _Refused(400, f"Invalid path: {error}") from error
    try:
        found = json.dumps(_tree(router.delegate(dtab, path), path), indent=2)
    except RecursionError as error:
        raise _Refused(500, "The tree is too deep to be shown") from error
    return text(found, content_type=JSON)


def _tree(following: Activity[Delegation], path: Path) -> dict[str, Any]:
    """Returns the tree when all of it and its addresses are known, or the time is over."""
    with delegated(following, WAIT_S) as found:
        if found is None or isinstance(found.state, Pending):
            raise _Refused(503, "Request timed out.")
        return delegation_tree(found.root, path)


def _page(label: str, dtabs: Mapping[str, Dtab]) -> str:
    options = "".join(
        f"<option{' selected' if one == label else ''}>{escape(one)}</option>" for one in dtabs
    )
    rules = "".join(f"{entry.prefix.show()} => {entry.dst.show()} ;\n" for entry in dtabs[label])
    return document(
        "Delegator",
        f"""\
<form class="ask" id="choose" action="delegator">
<label>Router <select name="router">{options}</select></label> <button>Choose</button>
</form>
<form class="ask" id="ask">
<p><label>Name <input id="path" value="/svc/" spellcheck="false"></label>
<button>Delegate</button></p>
<p><label>Dtab<br>
<textarea id="dtab" rows="10" spellcheck="false">{escape(rules)}</textarea></label></p>
</form>
<p><a id="explain" href="explain?router={escape(quote(label))}">Explain it with its clients, \
settings and endpoints</a></p>
<div id="tree" role="status" data-router="{escape(label)}"></div>
<script src="files/delegator.js"></script>""",
    )
