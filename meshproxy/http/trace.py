"""The trace of a request, and its spans if they are recorded."""

from collections.abc import Sequence
from typing import Literal, Protocol

from meshproxy.http.propagation import Propagator
from meshproxy.http.trace_id import TraceId

Kind = Literal["SERVER", "CLIENT", "INTERNAL"]
"""What the span is of: a request, an attempt, or a phase of one of them."""


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
        """Events and their times."""
        self.local = ""
        """Our own address, as `host:port`."""
        self.remote = ""
        """The client's address for a SERVER span, the endpoint's for a CLIENT span."""


class Recorder(Protocol):
    """Records the spans of some traces."""

    def wants(self, trace: TraceId) -> bool:
        """Returns True if the spans of *trace* are to be recorded here."""
        ...

    @property
    def wants_errors(self) -> bool:
        """True if requests that fail are to be recorded whatever `wants` says."""
        ...

    @property
    def wants_phases(self) -> bool:
        """True if each phase of a request is to be a span of its own."""
        ...

    def record(self, spans: Sequence[Span]) -> None:
        """Records all spans of a request that has ended, the server's last; never waits."""
        ...


class Trace:
    """The trace of a request."""

    __slots__ = ("ended", "has_phases", "id", "propagator", "span")

    def __init__(self, trace: TraceId, propagator: Propagator) -> None:
        self.id = trace
        """The id of the SERVER span."""
        self.propagator = propagator
        self.span: Span | None = None
        """The SERVER span, if it is recorded."""
        self.ended: list[Span] = []
        """Spans of attempts and phases, kept until the outcome of the request is known."""
        self.has_phases = False
        """True if phases are to be spans."""
