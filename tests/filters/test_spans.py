"""The phases below the spans of a request; what spans say is in test_trace."""

from itertools import count

from meshproxy.filters.spans import attempt_phases, begin, bind_phase, phase
from meshproxy.http.message import Request
from meshproxy.http.phases import BIND, CONNECT, QUEUE, TLS, spend
from meshproxy.http.propagation import L5d
from meshproxy.http.trace import Span, Trace
from meshproxy.http.trace_id import TraceId
from tests.kit.messages import request


def begun() -> tuple[Trace, Span, Request]:
    """Return a trace, its first span, and the request."""
    asked = request()
    trace = Trace(TraceId(1, 1, 1), L5d())
    return trace, begin(trace.id, "CLIENT", asked, "out"), asked


def test_an_attempt_waits_for_one_thing_after_the_other() -> None:
    trace, attempt, asked = begun()
    numbers = count(100)
    spend(asked, BIND, 9.0)
    spend(asked, CONNECT, 1.0)
    before = asked.phases or {}
    for name, seconds in ((QUEUE, 0.5), (CONNECT, 0.25), (TLS, 0.125)):
        spend(asked, name, seconds)
    attempt.started_us -= 2_000_000
    ended_us = attempt_phases(trace, attempt, before, asked, lambda _: next(numbers))
    found = {one.name: (one.started_us - attempt.started_us, one) for one in trace.ended}
    assert {name: at for name, (at, _) in found.items()} == {
        CONNECT: 0, QUEUE: 250_000, TLS: 750_000, "wait": 875_000,
    }  # fmt: skip
    wait = found["wait"][1]
    assert wait.started_us + wait.duration_us == ended_us
    assert wait.duration_us >= 1_000_000
    assert [(one.kind, one.id.parent, one.id.span) for one in trace.ended] == [
        ("INTERNAL", 1, number) for number in range(100, 104)
    ]


def test_binding_is_below_the_server_if_it_took_time() -> None:
    trace, server, asked = begun()
    bind_phase(trace, server, asked, lambda _: 7)
    assert trace.ended == []
    spend(asked, BIND, 0.003)
    bind_phase(trace, server, asked, lambda _: 7)
    (bind,) = trace.ended
    assert (bind.name, bind.started_us, bind.duration_us) == (BIND, server.started_us, 3000)


def test_a_phase_lasts_a_microsecond_at_least() -> None:
    trace, server, _ = begun()
    assert phase(trace, server, "wait", 5, 0.0, lambda _: 7).duration_us == 1
