"""The admin pages of all workers' state, as if they were one process."""

import json
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Final

from meshproxy.admin.client_state import merged
from meshproxy.admin.delegator import PATH as DELEGATOR
from meshproxy.admin.discovery import PATH as DISCOVERY
from meshproxy.admin.events import PATH as EVENTS
from meshproxy.admin.explain import PATH as EXPLAIN
from meshproxy.admin.log_levels import PATH as LOG_LEVELS
from meshproxy.admin.pages import JSON, AdminHandler, AdminRequest, AdminResponse, text
from meshproxy.runtime.state import BOUND_NAMES, CLIENT_STATE

Row = dict[str, Any]
Ask = Callable[[AdminRequest], Mapping[int, AdminResponse]]
"""Returns the answers of all workers by number."""

_INDEX: Final = AdminRequest("GET", "/admin/index.txt")


def _union(answers: Mapping[str, list[str]]) -> list[str]:
    return sorted({name for answer in answers.values() for name in answer})


def _first(answers: Mapping[str, Any]) -> Any:
    return next(iter(answers.values()))


def _names(answers: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    found = _told_apart({process: answer["names"] for process, answer in answers.items()})
    found.sort(key=lambda row: (not row["failure"], row["source"], row["name"]))
    return {"found": sum(answer["found"] for answer in answers.values()), "names": found}


def _latest(answers: Mapping[str, list[Row]]) -> list[Row]:
    return sorted(_told_apart(answers), key=itemgetter("at"), reverse=True)


def _told_apart(answers: Mapping[str, list[Row]]) -> list[Row]:
    return [row | {"process": process} for process, rows in answers.items() for row in rows]


def _best_informed(answers: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the explanation with the most clients in use, as it knows their breakers and load."""
    return max(
        answers.values(), key=lambda one: sum(client["is_running"] for client in one["clients"])
    )


_MERGES: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    BOUND_NAMES: _union,
    CLIENT_STATE: lambda answers: merged(answers.values()),
    DELEGATOR: _first,
    EXPLAIN: _best_informed,
    DISCOVERY: _names,
    EVENTS: _latest,
    LOG_LEVELS: _first,
}
"""How answers by process are merged; others are shown by process."""


class WorkersPages:
    """Responds for the workers by asking all of them, and the supervisor for its *own* pages.

    Workers that do not answer in time are left out; if none answers, the response is 503.
    """

    def __init__(self, ask: Ask, own: Mapping[str, AdminHandler]) -> None:
        self._ask = ask
        self._own = own

    def paths(self) -> Iterable[str]:
        """Returns the paths of all pages, those of the workers included."""
        found = {one.body.decode() for one in self._ask(_INDEX).values() if one.status == 200}
        return {path for body in found for path in body.splitlines()} | self._own.keys()

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Returns the workers' answers to *request*; a refusal of one if none has more to say."""
        own = self._own.get(request.path)
        answers = {"supervisor": own(request)} if own is not None else {}
        answers |= {f"worker {number}": one for number, one in self._ask(request).items()}
        if not answers:
            return text("No worker answers.\n", 503)
        fine = {name: one for name, one in answers.items() if one.status == 200}
        if not fine:
            return next(iter(answers.values()))
        if all(one.content_type == JSON for one in fine.values()):
            return _merge_json(request.path, fine)
        if request.method != "GET":
            return next(iter(fine.values()))
        return text("\n".join(f"{name}: {one.body.decode()}" for name, one in fine.items()))


def _merge_json(path: str, answers: Mapping[str, AdminResponse]) -> AdminResponse:
    found = {name: json.loads(one.body) for name, one in answers.items()}
    merge = _MERGES.get(path)
    shown = found if merge is None else merge(found)
    return text(json.dumps(shown, indent=2), content_type=JSON)
