from meshproxy.http.propagation import L5d
from meshproxy.http.trace import Span, Trace
from meshproxy.http.trace_id import TraceId


def test_a_trace_that_nobody_records_has_ids_only() -> None:
    trace = Trace(TraceId(1, 1, 1), L5d())
    assert (trace.id, trace.span, trace.ended) == (TraceId(1, 1, 1), None, [])


def test_spans_do_not_share_what_is_noted_on_them() -> None:
    first, second = (Span(TraceId(1, 1, 1), "SERVER", "GET", "out", 1) for _ in range(2))
    first.tags["a"] = "b"
    first.events.append((1, "x"))
    assert (second.tags, second.events) == ({}, [])
