"""Reads a line of a Kubernetes watch."""

from typing import Any, Literal, NamedTuple, TypeAlias

from meshproxy.discovery.watching.decoding import Malformed, load, shown
from meshproxy.discovery.watching.failure import ApiFailure, Reason

EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


class WatchEvent(NamedTuple):
    """Something that happened to an object, which is as it is now, or was at last."""

    type: EventType
    object: dict[str, Any]


def read_event(line: bytes) -> WatchEvent:
    """Returns the event of *line*. Raises ApiFailure if it is an error, or no event at all."""
    try:
        sent = load(line)
    except Malformed as error:
        raise ApiFailure(Reason.MALFORMED, str(error)) from error
    if not isinstance(sent, dict) or not isinstance(sent.get("object"), dict):
        raise ApiFailure(Reason.MALFORMED, "the watch sent something that is no event")
    match sent.get("type"):
        case "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" as type_:
            return WatchEvent(type_, sent["object"])
        case "ERROR":
            code, message = sent["object"].get("code"), sent["object"].get("message")
            text = f"the watch ended with {shown(code)}: {shown(message)}"
            raise ApiFailure(Reason.GONE if code == 410 else Reason.STATUS, text)
        case other:
            raise ApiFailure(Reason.MALFORMED, f"an event of type {shown(other)}")
