"""How long a request may take, whose limit that is, and what the endpoint is told of it."""

from collections.abc import Callable
from itertools import count
from time import monotonic

import pytest

from meshproxy.errors import (
    ConnectFailed,
    DeadlineExceeded,
    ServiceTimedOut,
    TimedOutBinding,
    TimedOutConnecting,
    TimedOutInQueue,
)
from meshproxy.filters.timeouts import AttemptDeadline, EnforceDeadline, TotalTimeout
from meshproxy.http import l5d
from meshproxy.http.deadline import Deadline
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from tests.kit.clock import FakeClock
from tests.kit.messages import Replies, request, response

NOW = FakeClock(start_s=1_500_000_000).ns
NOW_NS = NOW()
SECOND = 1_000_000_000


def with_deadline(told: Deadline | None = None) -> Request:
    """Return a request as it is after the server has read its deadline."""
    asked = request()
    asked.dst = Path.parse("/svc/web")
    asked.ctx_deadline = told
    l5d.put_deadline(asked.headers, told)
    return asked


def told_by(line: list[bytes]) -> Deadline | None:
    """Return the deadline among the header lines of a request."""
    values = [one.partition(b": ")[2] for one in line if one.startswith(b"l5d-ctx-deadline")]
    assert len(values) <= 1
    return Deadline.decode(values[0]) if values else None


# --- the total ---


def late(
    seconds: float, error: type[ServiceTimedOut] = ServiceTimedOut
) -> Callable[[Request], Response]:
    """Return a service whose attempt times out *seconds* from now."""

    def serve(_: Request) -> Response:
        until = monotonic() + seconds
        for _ in count():
            if monotonic() >= until:
                break
        raise error("of one attempt")

    return serve


def test_the_total_says_that_retries_are_included() -> None:
    asked = request()
    asked.dst = Path.parse("/svc/web")
    with pytest.raises(ServiceTimedOut) as raised:
        TotalTimeout(0.02)(asked, late(0.03))
    assert str(raised.value) == (
        "exceeded 0.02.seconds to /svc/web while waiting for a response "
        "for the request, including retries (if applicable). Remote Info: Not Available"
    )


@pytest.mark.parametrize(
    ("error", "doing"),
    [
        (TimedOutBinding, "waiting for the name to be bound"),
        (TimedOutInQueue, "waiting in the queue for a connection"),
        (TimedOutConnecting, "waiting for a connection"),
    ],
)
def test_the_total_says_what_the_request_was_waiting_for(
    error: type[ServiceTimedOut], doing: str
) -> None:
    asked = request()
    asked.endpoint = "10.0.0.1:80"
    with pytest.raises(error) as raised:
        TotalTimeout(0.02)(asked, late(0.03, error))
    assert f" while {doing}" in str(raised.value)
    assert str(raised.value).endswith("Remote Info: 10.0.0.1:80")


def test_an_attempt_that_ran_out_before_speaks_for_itself() -> None:
    with pytest.raises(ServiceTimedOut, match="of one attempt"):
        TotalTimeout(60)(request(), late(0))


def test_the_smaller_of_two_totals_counts() -> None:
    asked = request()
    asked.deadline = before = monotonic() + 1
    TotalTimeout(60)(asked, Replies(response()))
    assert asked.deadline == before
    TotalTimeout(0.5)(asked, Replies(response()))
    assert asked.deadline < before


def test_the_endpoint_is_told_of_the_total() -> None:
    service, asked = Replies(response()), with_deadline()
    TotalTimeout(0.5, NOW)(asked, service)
    assert told_by(service.requests[0]) == asked.ctx_deadline == (NOW_NS, NOW_NS + SECOND // 2)


@pytest.mark.parametrize(
    ("received", "combined"),
    [
        ((NOW_NS - 1, NOW_NS + SECOND), (NOW_NS, NOW_NS + SECOND)),
        ((NOW_NS + 1, NOW_NS + 9 * SECOND), (NOW_NS + 1, NOW_NS + 2 * SECOND)),
    ],
)
def test_the_total_and_what_was_received_are_combined(
    received: tuple[int, int], combined: tuple[int, int]
) -> None:
    service = Replies(response())
    TotalTimeout(2, NOW)(with_deadline(Deadline(*received)), service)
    assert told_by(service.requests[0]) == combined


# --- one attempt ---


def test_each_attempt_tells_its_own_deadline() -> None:
    clock, asked = FakeClock(start_s=10), with_deadline()
    attempt, service = AttemptDeadline(0.5, clock.ns), Replies(ConnectFailed("x"), response())
    with pytest.raises(ConnectFailed):
        attempt(asked, service)
    clock.advance(0.25)
    attempt(asked, service)
    at = 10 * SECOND
    assert [told_by(lines) for lines in service.requests] == [
        (at, at + SECOND // 2),
        (at + SECOND // 4, at + SECOND * 3 // 4),
    ]


def test_after_the_attempt_the_rest_of_the_request_is_told_again() -> None:
    whole = Deadline(NOW_NS - 5, NOW_NS + SECOND)
    service = Replies(response())
    for before in (whole, None):
        asked = with_deadline(before)
        AttemptDeadline(0.5, NOW)(asked, service)
        assert told_by(service.requests[-1]) == (NOW_NS, NOW_NS + SECOND // 2)
        assert told_by(asked.headers.lines) == asked.ctx_deadline == before


# --- the deadline that came along ---


def enforcing(told: Deadline | None, service: Callable[[Request], Response]) -> tuple[Request, int]:
    """Serve a request with *told*; the request, and how many were rejected."""
    metrics, asked = Tree(), with_deadline(told)
    try:
        EnforceDeadline(metrics, NOW)(asked, service)
    finally:
        rejected = metrics.counter("admission_control", "deadline", "rejected").value
    return asked, rejected


@pytest.mark.parametrize("late_ns", [0, 1, 3 * SECOND, 2**62])
def test_what_has_expired_is_not_sent(late_ns: int) -> None:
    service, metrics = Replies(response()), Tree()
    asked = with_deadline(Deadline(0, NOW_NS - late_ns))
    with pytest.raises(DeadlineExceeded) as raised:
        EnforceDeadline(metrics, NOW)(asked, service)
    assert (raised.value.status, raised.value.retryable, service.requests) == (503, False, [])
    assert metrics.counter("admission_control", "deadline", "rejected").value == 1


def test_what_has_time_left_gets_it_by_the_monotonic_clock() -> None:
    before = monotonic()
    asked, rejected = enforcing(Deadline(NOW_NS, NOW_NS + 2 * SECOND), Replies(response()))
    assert before + 2 <= asked.deadline <= monotonic() + 2
    assert rejected == 0


def test_it_does_not_lengthen_another_limit() -> None:
    asked = with_deadline(Deadline(NOW_NS, NOW_NS + 60 * SECOND))
    asked.deadline = before = monotonic() + 1
    EnforceDeadline(Tree(), NOW)(asked, Replies(response()))
    assert asked.deadline == before


def test_without_a_deadline_there_is_no_limit() -> None:
    asked, _ = enforcing(None, Replies(response()))
    assert asked.deadline == float("inf")


def test_running_out_of_it_is_told_as_such() -> None:
    with pytest.raises(ServiceTimedOut) as raised:
        enforcing(Deadline(NOW_NS, NOW_NS + SECOND // 50), late(0.03))
    assert str(raised.value) == (
        "exceeded the deadline in l5d-ctx-deadline to /svc/web while waiting for a response "
        "for the request, including retries (if applicable). Remote Info: Not Available"
    )
