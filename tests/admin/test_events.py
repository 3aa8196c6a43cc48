"""The timeline as a page."""

import json

import pytest

from meshproxy.admin.events import events_json
from meshproxy.admin.pages import AdminRequest
from meshproxy.timeline import Kind, Timeline
from tests.kit.clock import FakeClock


@pytest.fixture
def timeline() -> Timeline:
    clock = FakeClock(100.0)
    found = Timeline(clock)
    for number in range(3):
        found.note(Kind.WORKER, f"worker {number}", "Serves")
        clock.advance(1)
    found.note(Kind.BREAKER, "10.0.0.1:80 of /#/<a>", "marked dead", 5)
    return found


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("", ["10.0.0.1:80 of /#/<a>", "worker 2", "worker 1", "worker 0"]),
        ("?limit=2", ["10.0.0.1:80 of /#/<a>", "worker 2"]),
        ("?q=WORKER+1", ["worker 1"]),
        ("?q=serves&limit=1", ["worker 2"]),
        ("?q=nothing", []),
        ("?limit=-1&q=breaker", ["10.0.0.1:80 of /#/<a>"]),
    ],
)
def test_the_latest_come_first_as_far_as_they_are_wanted(
    timeline: Timeline, query: str, subjects: list[str]
) -> None:
    found = events_json(timeline)(AdminRequest.of("GET", f"/events.json{query}"))
    assert [event["subject"] for event in json.loads(found.body)] == subjects


def test_an_event_has_its_time_and_its_end(timeline: Timeline) -> None:
    found = events_json(timeline)(AdminRequest.of("GET", "/events.json?limit=1"))
    (event,) = json.loads(found.body)
    assert (event["at"], event["until"], event["kind"]) == (103, 108, "breaker")


def test_only_reading_is_allowed(timeline: Timeline) -> None:
    assert events_json(timeline)(AdminRequest("POST", "/events.json")).status == 405
