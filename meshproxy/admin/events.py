"""`/events.json`: what happened to the process lately, the latest first."""

from typing import Final

from meshproxy.admin.json_text import json_text
from meshproxy.admin.pages import (
    JSON,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.net.slices import Slices
from meshproxy.timeline import Timeline

PATH: Final = "/events.json"
LIMIT: Final = 200
"""Events that are shown unless more are asked for."""


def events_json(timeline: Timeline) -> AdminHandler:
    """Returns the handler of the page; `limit` is the number, `q` a text that is in the events."""

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        wanted, limit = request.query.get("q", "").lower(), request.number("limit", LIMIT)
        found = [
            event.plain()
            for event in timeline.events()
            if wanted in f"{event.kind} {event.subject} {event.text}".lower()
        ]
        return text(json_text(found[:limit], Slices()), content_type=JSON)

    return handle
