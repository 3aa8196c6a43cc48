"""Requests as they end, for whoever reads."""

import json
from dataclasses import replace
from typing import Any

import pytest

from meshproxy.admin import tap
from meshproxy.admin.pages import AdminRequest
from meshproxy.admin.tap import MAX_QUEUED, MAX_READERS, Tap
from meshproxy.http.body import Body
from meshproxy.metrics.tree import Tree
from meshproxy.recent.request import RecentRequest
from meshproxy.recent.requests import RecentRequests
from tests.kit.recent import ended


class World:
    """A tap of requests."""

    def __init__(self) -> None:
        self.metrics = Tree()
        self.recent = RecentRequests()
        self.renewed = 0
        self.tap = Tap(self.recent, self.metrics, self._renew)

    def _renew(self) -> None:
        self.renewed += 1

    def open(self, query: str = "seconds=60") -> Body:
        stream = self.tap(AdminRequest.of("GET", f"/tap?{query}")).stream
        assert stream is not None
        return stream

    def end(self, *requests: RecentRequest) -> None:
        self.recent.merge(map(list, requests))

    def dropped(self) -> float:
        return self.metrics.counter("tap", "dropped").value


@pytest.fixture
def world() -> World:
    return World()


def lines(stream: Body) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bytes(stream.read() or b"").splitlines()]


def test_a_reader_gets_what_it_asked_for_from_then_on(world: World) -> None:
    world.end(ended(path="/before"))
    stream = world.open("seconds=60&status=5xx")
    world.end(ended(path="/fine"), ended(path="/bad", status=500, reason="endpoint"))
    assert [one["path"] for one in lines(stream)] == ["/bad"]
    assert world.renewed == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "application/x-ndjson"), ("text/html,*/*;q=0.8", "text/plain; charset=utf-8")],
)
def test_a_browser_shows_the_lines_and_saves_no_file(world: World, accept: str, kind: str) -> None:
    request = replace(AdminRequest.of("GET", "/tap?seconds=1"), accept=accept)
    assert world.tap(request).content_type == kind


def test_a_slow_reader_loses_requests_which_are_counted_and_told(world: World) -> None:
    stream = world.open()
    world.end(*(ended() for _ in range(MAX_QUEUED + 3)))
    first = lines(stream)
    assert first[0] == {"dropped": 3}
    assert world.dropped() == 3
    count = len(first) - 1
    while stream.has_piece:
        count += len(lines(stream))
    assert count == MAX_QUEUED


def test_what_a_worker_could_not_tell_is_told(world: World) -> None:
    stream = world.open()
    world.recent.merge([], missed=7)
    assert lines(stream) == [{"dropped": 7}]
    assert world.dropped() == 7


def test_it_ends_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, *[161.0] * 9])
    monkeypatch.setattr(tap, "monotonic", lambda: next(times))
    assert list(world.open("seconds=60")) == []


def test_an_empty_line_shows_a_reader_that_has_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "_BEAT_S", 0.0)
    assert world.open().read() == b"\n"


def test_a_closed_reader_is_told_nothing_more(world: World) -> None:
    stream = world.open()
    stream.close()
    world.end(ended())
    assert not stream.has_piece
    assert stream.read() == b""


def test_readers_are_bounded(world: World) -> None:
    streams = [world.open() for _ in range(MAX_READERS)]
    assert world.tap(AdminRequest.of("GET", "/tap?seconds=1")).status == 503
    streams[0].close()
    world.open()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "seconds=",
        "seconds=0",
        "seconds=3601",
        "seconds=0000000019999999",
        "seconds=000000001" + "0" * 5000,
        "seconds=x",
        "seconds=%C2%B2",
        "seconds=5&status=x",
    ],
)
def test_what_cannot_be_read_is_refused(world: World, query: str) -> None:
    assert world.tap(AdminRequest.of("GET", f"/tap?{query}")).status == 400
    assert world.tap(AdminRequest.of("POST", "/tap?seconds=5")).status == 405
