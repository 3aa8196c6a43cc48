"""What of the latest requests is kept, and for how long."""

import json
import weakref
from random import Random

import pytest

from meshproxy.errors import ClientGone, ConnectFailed, Forbidden
from meshproxy.http.errors import error_response
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Response
from meshproxy.http.phases import Attempt
from meshproxy.recent import requests
from meshproxy.recent.request import RecentRequest
from meshproxy.recent.requests import (
    CAPACITY,
    MAX_WATCHED,
    PER_SECOND,
    SAMPLED_PER_SECOND,
    RecentRequests,
)
from meshproxy.recent.wanted import Wanted
from tests.kit.asked import Peer
from tests.kit.clock import FakeClock
from tests.kit.messages import request
from tests.kit.recent import ended

ALL = Wanted()


class Followed:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[RecentRequest] = []
        self.missed = 0

    def tell(self, request: RecentRequest) -> None:
        self.told.append(request)

    def miss(self, count: int) -> None:
        self.missed += count


def end(recent: RecentRequests, response: Response, latency_ms: float = 1.0) -> None:
    """Ask as a server does, then record."""
    if response.status >= 400 or latency_ms >= recent.from_ms:
        recent.ended("http", "ip/1", request(), response, latency_ms)


def fine() -> Response:
    return Response(200, b"OK", of())


def failed() -> Response:
    response = Response(503, b"Unavailable", of((b"l5d-err", b"too+bad")))
    response.failed = True
    return response


def shown(recent: RecentRequests) -> list[RecentRequest]:
    return recent.latest(ALL, 10_000)


def test_failed_and_slow_requests_outlive_the_others() -> None:
    recent = RecentRequests()
    end(recent, failed())
    end(recent, fine(), 2000.0)
    for _ in range(20):
        recent.refill()
        for _ in range(PER_SECOND):
            end(recent, fine())
    kept = shown(recent)
    assert [one.status for one in kept] == [200] * (CAPACITY + 1) + [503]
    assert [one.latency_ms for one in kept[-2:]] == [2000.0, 1.0]


def test_of_those_that_went_well_the_first_of_each_second_are_kept() -> None:
    recent = RecentRequests()
    for _ in range(2 * PER_SECOND):
        end(recent, fine())
    assert len(shown(recent)) == PER_SECOND
    assert recent.from_ms == requests.SLOW_MS
    recent.refill()
    end(recent, fine())
    assert len(shown(recent)) == PER_SECOND + 1


def test_a_failure_has_its_reason_and_its_text() -> None:
    recent = RecentRequests()
    end(recent, error_response(ConnectFailed("refused"), Limits()))
    end(recent, error_response(Forbidden("not there"), Limits()))
    end(recent, failed())
    recent.ended("http", "ip/1", request(), fine(), 1.0, 5.0, "cut")
    recent.left("http", "ip/1", request(), ClientGone("left"), 3.0)
    found = [(one.status, one.reason, one.why) for one in reversed(shown(recent))]
    assert found == [
        (502, "connect", "refused"),
        (403, "forbidden", "not there"),
        (503, "endpoint", "too bad"),
        (200, "cut", "the endpoint did not send the whole body"),
        (None, "client_gone", "left"),
    ]
    assert all(one.is_failed for one in shown(recent))


def test_one_that_was_sent_again_outlives_those_that_were_not() -> None:
    recent = RecentRequests()
    recent.sample(0.0)
    asked = request()
    asked.earlier = (Attempt(None, "10.0.0.1:80", "503", 0.0, 0.0),)
    recent.ended("http", "ip/1", asked, fine(), 1.0)
    recent.sample(1.0, 2)
    for _ in range(5):
        end(recent, fine())
    assert [one.describe()["attempts"] for one in shown(recent)] == [1, 1, 2]
    assert len(recent.take()) == 3
    assert shown(recent) == []


def test_an_endpoints_own_404_is_one_of_those_that_went_well() -> None:
    recent = RecentRequests()
    recent.sample(0.0)
    end(recent, Response(404, b"Not Found", of()))
    assert shown(recent) == []


@pytest.mark.parametrize(
    ("rate", "draw", "kept"),
    [(0.25, 0.0, 1), (0.25, 0.24, 1), (0.25, 0.25, 0), (1.0, 0.999999, 1), (0.0, 0.0, 0)],
)
def test_a_draw_below_the_rate_is_kept(rate: float, draw: float, kept: int) -> None:
    recent = RecentRequests(lambda: draw)
    recent.sample(rate, 5)
    end(recent, fine())
    assert len(shown(recent)) == kept


def test_a_share_of_what_went_well_is_kept() -> None:
    recent = RecentRequests(Random(1).random)
    recent.sample(0.25, 2000)
    for _ in range(4000):
        recent.passed("http", "ip/1", request(), fine(), 1.0)
    assert 900 < len(shown(recent)) < 1100


@pytest.mark.parametrize(
    ("response", "latency_ms", "is_retried"),
    [
        (fine(), 1.0, True),
        (fine(), requests.SLOW_MS, False),
        (error_response(Forbidden("no"), Limits()), 1.0, False),
    ],
    ids=["retried", "slow", "an error of ours"],
)
def test_a_sample_passes_over_nothing_of_interest(
    response: Response, latency_ms: float, is_retried: bool
) -> None:
    recent = RecentRequests(lambda: 0.9)
    recent.sample(0.25)
    asked = request()
    if is_retried:
        asked.earlier = (Attempt(None, "10.0.0.1:80", "503", 0.0, 0.0),)
    recent.passed("http", "ip/1", asked, response, latency_ms)
    recent.passed("http", "ip/1", request(), fine(), 1.0)
    assert [one.latency_ms for one in shown(recent)] == [latency_ms]


def test_a_follower_is_told_of_what_would_be_passed_over() -> None:
    recent, follower = RecentRequests(lambda: 0.9), Followed()
    recent.sample(0.25)
    recent.follow(follower)
    for _ in range(4):
        recent.passed("http", "ip/1", request(), fine(), 1.0)
    assert len(follower.told) == 4


def test_nothing_is_asked_of_fast_requests_at_a_rate_of_0_but_slow_ones_are_kept() -> None:
    recent = RecentRequests()
    recent.sample(0.0, slow_ms=20)
    assert recent.from_ms == 20
    end(recent, fine(), 19.9)
    end(recent, fine(), 20.0)
    assert [one.latency_ms for one in shown(recent)] == [20.0]


def test_the_capacity_is_that_of_the_newest() -> None:
    recent = RecentRequests()
    recent.sample(1.0, 2)
    for latency_ms in (1.0, 2.0, 3.0):
        end(recent, fine(), latency_ms)
    assert [one.latency_ms for one in shown(recent)] == [3.0, 2.0]


def test_the_newest_that_match_are_shown() -> None:
    recent = RecentRequests()
    recent.merge(list(ended(ended_at=at, status=status)) for at, status in ENDED)
    found = recent.latest(Wanted.of({"status": "200"}), 2)
    assert [one.ended_at for one in found] == [5.0, 4.0]


ENDED = [(1.0, 200), (4.0, 200), (2.0, 503), (5.0, 200), (3.0, 200)]


def test_a_follower_is_told_of_every_request_until_it_leaves() -> None:
    recent, follower = RecentRequests(), Followed()
    recent.sample(0.0)
    recent.follow(follower)
    end(recent, fine())
    end(recent, failed())
    recent.leave(follower)
    end(recent, failed())
    assert [one.status for one in follower.told] == [200, 503]
    assert recent.from_ms == requests.SLOW_MS


def test_the_connection_of_what_is_kept_is_not_kept() -> None:
    recent, asked, peer = RecentRequests(), request(), Peer()
    connection = weakref.ref(peer)
    asked.peer = peer
    recent.ended("http", "ip/1", asked, fine(), 1.0)
    del asked, peer
    assert connection() is None
    assert shown(recent)[0].source == "192.0.2.1:5000"


@pytest.mark.parametrize("capacity", [1, requests.CAPACITY, 2000])
def test_looking_twice_shows_the_same(capacity: int) -> None:
    recent = RecentRequests()
    recent.sample(1.0, capacity)
    end(recent, failed())
    end(recent, fine(), 2.0)
    end(recent, fine(), 2000.0)
    assert [one.total_ms for one in shown(recent)] == [2000.0, 2.0, 1.0]
    assert shown(recent) == shown(recent)
    assert len(recent.take()) == 3


def test_what_another_process_took_is_merged_and_told() -> None:
    here, there, follower = RecentRequests(), RecentRequests(), Followed()
    end(there, failed())
    here.follow(follower)
    here.merge(json.loads(json.dumps(there.take())), missed=3)
    assert there.take() == []
    assert [one.status for one in shown(here)] == [503]
    assert (len(follower.told), follower.missed) == (1, 3)


def test_all_are_kept_while_a_supervisor_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(requests, "monotonic", clock)
    recent = RecentRequests()
    recent.sample(0.0, 2)
    recent.watch(3.0)
    for _ in range(MAX_WATCHED + 5):
        end(recent, fine())
    assert recent.missed == 5
    assert len(recent.take()) == MAX_WATCHED
    assert recent.missed == 0
    clock.advance(4.0)
    recent.refill()
    assert recent.from_ms == requests.SLOW_MS
    end(recent, fine())
    assert shown(recent) == []


def test_a_rate_of_one_keeps_so_many_of_each_second() -> None:
    recent = RecentRequests()
    recent.sample(1.0, 5)
    for number in range(SAMPLED_PER_SECOND + 2):
        end(recent, fine(), number / 10)
    newest = (SAMPLED_PER_SECOND - 1) / 10
    assert shown(recent)[0].latency_ms == newest
    recent.refill()
    end(recent, fine(), 1.5)
    assert [one.latency_ms for one in shown(recent)[:2]] == [1.5, newest]
