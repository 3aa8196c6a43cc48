"""Spans as a recorded trace makes them."""

from collections.abc import Mapping, Sequence

from meshproxy.http.trace import Kind, Span, SpanFacts
from meshproxy.http.trace_id import TraceId


def span(
    trace: TraceId,
    kind: Kind = "SERVER",
    name: str = "GET",
    service: str = "out",
    *,
    at_us: int = 1,
    duration_us: int = 1,
    local: str = "",
    remote: str = "",
    tags: Mapping[str, str] | None = None,
    own_tags: Mapping[str, str] | None = None,
    events: Sequence[tuple[int, str]] = (),
) -> Span:
    """Return a span with these facts."""
    made = Span(
        trace, SpanFacts(kind, name, service, local, tags or {}), at_us, duration_us, remote
    )
    made.own_tags = own_tags or {}
    made.events = events
    return made


class Recorded:
    """A recording of *spans*, none of which is a phase."""

    def __init__(self, *spans: Span) -> None:
        self._spans = list(spans)

    def size(self, *, phases: bool) -> int:
        """Return how many there are."""
        assert not phases
        return len(self._spans)

    def spans(self, *, phases: bool) -> list[Span]:
        """Return all of them."""
        assert not phases
        return self._spans
