"""`/discovery.json`: what discovery believes about each name in use, and since when."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from meshproxy.admin.json_text import json_text
from meshproxy.admin.pages import (
    JSON,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.naming.followed import Followed, FollowsNames
from meshproxy.net.slices import Slices

PATH: Final = "/discovery.json"
DNS: Final = "DNS"
"""The source of host names; clients can make them up."""
LIMIT: Final = 200
"""Names that are shown unless more are asked for, those that fail first."""
_TIMES: Final = ("answered_at", "failing_since", "renewed_at")

Row = dict[str, Any]
Sources = Callable[[], Iterable[tuple[str, FollowsNames]]]
"""Returns what follows names, each with a name of its own."""


def discovery_json(sources: Sources) -> AdminHandler:
    """Returns the handler of the page.

    `limit` is the number of names, `q` a text that is in them, `failing` leaves out those that are
    answered. Times are seconds since 1970, null for never.
    """

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        slices, wanted = Slices(), request.query.get("q", "").lower()
        found = rows(sources, slices, only_failing=request.is_set("failing"))
        found = [row for row in found if wanted in f"{row['source']} {row['name']}".lower()]
        found.sort(key=lambda row: (not row["failure"], row["source"], row["name"]))
        shown = found[: request.number("limit", LIMIT)]
        return text(json_text({"found": len(found), "names": shown}, slices), content_type=JSON)

    return handle


def rows(sources: Sources, slices: Slices, *, only_failing: bool = False) -> list[Row]:
    """Returns a row for each name that *sources* follow."""
    found = []
    for source, follows in sources():
        for followed in follows.followed():
            if followed.failure or not only_failing:
                found.append(_row(source, followed))
            slices.rest()
    return found


def problems(found: Iterable[Mapping[str, Any]], now: float) -> list[str]:
    """Returns a line for each source of which names fail in *found*, at *now*.

    Of DNS only names count that had an answer before, since clients can ask for any.
    """
    failing = [
        row for row in found if row["failure"] and (row["answered_at"] or row["source"] != DNS)
    ]
    failing.sort(key=itemgetter("source", "failing_since"))
    return [
        _problem(source, list(group), now)
        for source, group in groupby(failing, key=itemgetter("source"))
    ]


def _problem(source: str, failing: Sequence[Mapping[str, Any]], now: float) -> str:
    first = failing[0]
    names = {row["name"] for row in failing}
    what = first["name"] if len(names) == 1 else f"{len(names)} names"
    seconds = max(now - first["failing_since"], 0)
    known = sum(bool(row["answered_at"]) for row in failing)
    then = "the last good answer is in use" if known else "there was no answer yet"
    if 0 < known < len(failing):
        then = "of some there was no answer yet"
    return f"{source} fails for {what} since {seconds:.0f} s: {first['failure']}; {then}"


def _row(source: str, followed: Followed) -> Row:
    row = {"source": source, **followed._asdict()}
    return row | {name: row[name] or None for name in _TIMES}
