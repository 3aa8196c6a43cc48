"""The trace a request belongs to, and what is recorded of its spans where somebody asks for it."""

from collections.abc import Callable
from typing import Literal, Protocol

from meshproxy.http.propagation import Propagator
from meshproxy.http.trace_id import TraceId

Kind = Literal["SERVER", "CLIENT"]


class Span:
    """One span: what it was, when, and how it ended."""

    __slots__ = (
        "duration_us",
        "events",
        "id",
        "kind",
        "local",
        "name",
        "remote",
        "service",
        "started_us",
        "tags",
    )

    def __init__(
        self, trace: TraceId, kind: Kind, name: str, service: str, started_us: int
    ) -> None:
        self.id = trace
        self.kind = kind
        self.name = name
        self.service = service
        """The label of the router."""
        self.started_us = started_us
        """Microseconds since 1970."""
        self.duration_us = 0
        self.tags: dict[str, str] = {}
        self.events: list[tuple[int, str]] = []
        """What happened on the way, and when."""
        self.local = ""
        """Our own address, as `host:port`."""
        self.remote = ""
        """The client's of a SERVER span, the endpoint's of a CLIENT span."""


class Recorder(Protocol):
    """Takes the spans of some traces."""

    def wants(self, trace: TraceId) -> bool:
        """Returns True if the spans of *trace* are to be recorded here."""
        ...

    def record(self, span: Span) -> None:
        """Takes a span that has ended; never waits."""
        ...


class Trace:
    """What a request knows of its trace."""

    __slots__ = ("id", "propagator", "record", "span")

    def __init__(self, trace: TraceId, propagator: Propagator) -> None:
        self.id = trace
        """The SERVER span's."""
        self.propagator = propagator
        self.span: Span | None = None
        """The SERVER span, if anybody records it."""
        self.record: Callable[[Span], None] | None = None
        """Hands an ended span to those who want it."""
