"""The latest events, whatever their number."""

from meshproxy.timeline import MAX_EVENTS, MAX_TEXT, Kind, Timeline
from tests.kit.clock import FakeClock


def test_the_latest_of_all_kinds_comes_first() -> None:
    clock = FakeClock(100.0)
    timeline = Timeline(clock)
    timeline.note(Kind.RELOAD, "configuration", "reloaded")
    clock.advance(1)
    timeline.note(Kind.BREAKER, "10.0.0.1:80 of /#/a", "marked dead", 5)
    clock.advance(1)
    timeline.note(Kind.RELOAD, "configuration", "not reloaded")
    assert [event.plain() for event in timeline.events()] == [
        {
            "at": 102.0,
            "kind": "reload",
            "subject": "configuration",
            "text": "not reloaded",
            "until": None,
        },
        {
            "at": 101.0,
            "kind": "breaker",
            "subject": "10.0.0.1:80 of /#/a",
            "text": "marked dead",
            "until": 106.0,
        },
        {
            "at": 100.0,
            "kind": "reload",
            "subject": "configuration",
            "text": "reloaded",
            "until": None,
        },
    ]


def test_those_of_the_same_moment_are_latest_first_too() -> None:
    timeline = Timeline(FakeClock(100.0))
    for number in range(3):
        timeline.note(Kind.WORKER, "worker 0", str(number))
    assert [event.text for event in timeline.events()] == ["2", "1", "0"]


def test_many_of_one_kind_drop_none_of_another() -> None:
    timeline = Timeline(FakeClock(100.0))
    timeline.note(Kind.RELOAD, "configuration", "reloaded")
    for number in range(MAX_EVENTS + 5):
        timeline.note(Kind.ADDRESSES, "/#/a", str(number))
    found = timeline.events()
    assert len(found) == MAX_EVENTS + 1
    assert {event.text for event in found} >= {"reloaded", str(MAX_EVENTS + 4), "5"}
    assert "4" not in {event.text for event in found}


def test_a_text_is_bounded() -> None:
    timeline = Timeline(FakeClock(100.0))
    timeline.note(Kind.DISCOVERY, "x" * 1000, "y" * 1000)
    (event,) = timeline.events()
    assert (len(event.subject), len(event.text)) == (MAX_TEXT, MAX_TEXT)
