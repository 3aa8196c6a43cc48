from meshproxy.http.trace import Span
from meshproxy.http.trace_id import TraceId


def test_spans_do_not_share_what_is_noted_on_them() -> None:
    first, second = (Span(TraceId(1, 1, 1), "SERVER", "GET", "out", 1) for _ in range(2))
    first.tags["a"] = "b"
    first.events.append((1, "x"))
    assert (second.tags, second.events) == ({}, [])
