"""The trace of a request, and its spans."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, Protocol

from meshproxy.http.propagation import L5d, Propagator
from meshproxy.http.trace_id import SAMPLING_KNOWN, TraceId

Kind = Literal["SERVER", "CLIENT", "INTERNAL"]
"""What the span is of: a request, an attempt, or a phase of one of them."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class SpanFacts:
    """What many spans have in common: an exporter remembers its text."""

    __slots__ = ("kind", "local", "name", "service", "tags")

    def __init__(
        self, kind: Kind, name: str, service: str, local: str, tags: Mapping[str, str]
    ) -> None:
        self.kind = kind
        self.name = name
        self.service = service
        """The label of the router."""
        self.local = local
        """Our own address, as `host:port`; only of a SERVER span."""
        self.tags = tags


class Span:
    """One span: what it was, when, and how it ended."""

    __slots__ = ("duration_us", "events", "facts", "id", "own_tags", "remote", "started_us")

    def __init__(
        self,
        trace: TraceId,
        facts: SpanFacts,
        started_us: int,
        duration_us: int,
        remote: str = "",
    ) -> None:
        self.id = trace
        self.facts = facts
        self.started_us = started_us
        """Microseconds since 1970."""
        self.duration_us = duration_us if duration_us > 0 else 1  # the clock may be set back
        self.remote = remote
        """The client's address for a SERVER span, the endpoint's for a CLIENT span."""
        self.own_tags: Mapping[str, str] = _NONE
        """Tags beside those of `facts`; their names are plain ASCII."""
        self.events: Sequence[tuple[int, str]] = ()
        """Events and their times."""

    @property
    def tags(self) -> dict[str, str]:
        """All tags."""
        return {**self.own_tags, **self.facts.tags}


class Recorder(Protocol):
    """Records the spans of some traces."""

    def wants(self, trace: int, flags: int) -> bool:
        """Returns True if the spans are to be recorded here; the arguments are of a `TraceId`."""
        ...

    @property
    def wants_errors(self) -> bool:
        """True if requests that fail are to be recorded whatever `wants` says."""
        ...

    @property
    def wants_phases(self) -> bool:
        """True if each phase of a request is to be a span of its own."""
        ...

    def record(self, recording: "Recording") -> None:
        """Takes the spans of a request that has ended; never waits."""
        ...


class Recording(Protocol):
    """The spans of a request: noted while it runs, put into words when they are sent."""

    def size(self, *, phases: bool) -> int:
        """Returns how many spans there are, with or without those of *phases*."""
        ...

    def spans(self, *, phases: bool) -> list[Span]:
        """Returns the spans, the server's last, with or without those of *phases*."""
        ...


class Trace:
    """The trace of a request."""

    __slots__ = ("id", "propagator")

    def __init__(self, trace: TraceId, propagator: Propagator) -> None:
        self.id = trace
        """The id of the SERVER span."""
        self.propagator = propagator


UNSAMPLED: Final = Trace(TraceId(0, 0, 0, SAMPLING_KNOWN), L5d())
"""The trace of any request that begins one, if nobody records it.

Its ids are made with the first attempt and are in the header only.
"""
