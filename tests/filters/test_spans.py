"""The phases below the spans of a request; what spans say is in test_trace."""

from itertools import count

from meshproxy.filters.span_tags import MAX_BYTES
from meshproxy.filters.spans import Noted, RecordedTrace
from meshproxy.http.headers import of
from meshproxy.http.message import Request
from meshproxy.http.phases import BIND, CONNECT, QUEUE, TLS, spend
from meshproxy.http.propagation import L5d
from meshproxy.http.trace import Span
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.dtab import Dtab
from tests.kit.messages import request, response


def begun() -> tuple[RecordedTrace, Request]:
    """Return a trace whose spans are recorded, and its request."""
    asked = request()
    return RecordedTrace(TraceId(1, 1, 1), L5d(), "out", asked, has_phases=True), asked


def phases_of(trace: RecordedTrace) -> list[Span]:
    trace.server.fail("ended")
    return [one for one in trace.spans(phases=True) if one.facts.kind == "INTERNAL"]


def test_an_attempt_waits_for_one_thing_after_the_other() -> None:
    trace, asked = begun()
    numbers = count(100)
    spend(asked, BIND, 9.0)
    spend(asked, CONNECT, 1.0)
    before = asked.phases or {}
    for name, seconds in ((QUEUE, 0.5), (CONNECT, 0.25), (TLS, 0.125)):
        spend(asked, name, seconds)
    attempt = Noted(TraceId(2, 1, 1))
    attempt.started_us -= 2_000_000
    ended_us = trace.attempt_phases(attempt, before, asked, lambda _: next(numbers))
    phases = phases_of(trace)
    found = {one.facts.name: (one.started_us - attempt.started_us, one) for one in phases}
    assert {name: at for name, (at, _) in found.items()} == {
        CONNECT: 0, QUEUE: 250_000, TLS: 750_000, "wait": 875_000,
    }  # fmt: skip
    wait = found["wait"][1]
    assert wait.started_us + wait.duration_us == ended_us
    assert wait.duration_us >= 1_000_000
    assert [(one.id.parent, one.id.span) for one in phases] == [
        (2, number) for number in range(100, 104)
    ]


def test_binding_is_below_the_server_if_it_took_time() -> None:
    trace, asked = begun()
    trace.bind_phase(asked, lambda _: 7)
    assert phases_of(trace) == []
    spend(asked, BIND, 0.003)
    trace.bind_phase(asked, lambda _: 7)
    (bind,) = phases_of(trace)
    assert (bind.facts.name, bind.started_us, bind.duration_us) == (
        BIND,
        trace.server.started_us,
        3000,
    )
    assert bind.id == TraceId(7, 1, 1)


def test_a_phase_lasts_a_microsecond_at_least() -> None:
    trace, _ = begun()
    assert trace.phase(trace.id, "wait", 5, 0.0, lambda _: 7).duration_us == 1


def test_what_changes_after_it_was_noted_is_not_told() -> None:
    trace, asked = begun()
    asked.target, asked.headers = b"/rewritten", of((b"Host", b"other"))
    answer = response(200, (b"Content-Type", b"text/plain"))
    assert trace.server.answered(answer)
    answer.status = 500
    answer.headers.remove(b"content-type")
    (server,) = trace.spans(phases=False)
    assert (server.tags["http.uri"], server.tags["http.req.host"]) == ("/", "web")
    assert server.tags["http.rsp.content-type"] == "text/plain"
    assert (server.tags["http.rsp.status"], "error" in server.tags) == ("200", False)


def test_what_ends_after_the_request_is_not_recorded() -> None:
    trace, _ = begun()
    late = Noted(TraceId(2, 1, 1))
    late.fail("connect")
    trace.server.fail("connect")
    trace.is_open = False
    trace.add_attempt(late)
    assert trace.size(phases=True) == len(trace.spans(phases=True)) == 1


def test_facts_that_recur_are_shared_and_those_that_differ_are_not() -> None:
    def recorded(status: int = 200, length: bytes = b"1") -> Span:
        asked = request()
        trace = RecordedTrace(TraceId(1, 1, 1), L5d(), "out", asked)
        assert trace.server.answered(response(status, (b"Content-Length", length)))
        return trace.spans(phases=False)[0]

    first, same, other = recorded(), recorded(length=b"22"), recorded(503)
    assert first.facts is same.facts is not other.facts
    assert [one.own_tags["http.rsp.content-length"] for one in (first, same)] == ["1", "22"]
    assert other.tags["error"] == "503"


def test_what_queued_spans_hold_of_a_request_is_bounded() -> None:
    long = b"x" * 5000
    headers = of((b"Host", long), (b"Content-Type", long))
    asked = Request(b"GET", b"/" + long, b"1.1", headers, None)
    asked.local_dtab = Dtab.parse(f"/svc/{'s' * 5000} => /x")
    trace = RecordedTrace(TraceId(1, 1, 1), L5d(), "out", asked)
    trace.server.answered(response(200, (b"Content-Type", long)))
    (span,) = trace.spans(phases=False)
    texts = {**span.facts.tags, **span.own_tags}
    assert {name for name, text in texts.items() if len(text) > 900} == {
        "http.uri", "http.req.host", "http.req.content-type", "http.rsp.content-type", "dtab.local",
    }  # fmt: skip
    assert max(map(len, texts.values())) == MAX_BYTES
