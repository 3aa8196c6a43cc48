"""The spans of a request: what is noted of them as it runs, and what they say.

Tags and annotations are Linkerd's (finagle: http/filter/..., tracing/Annotation.scala). References
are noted, so a recorded request waits little; spans are made of them when they are sent.
"""

from collections.abc import Callable, Mapping
from time import time_ns

from meshproxy.http.message import Request, Response
from meshproxy.http.phases import BIND
from meshproxy.http.propagation import Propagator
from meshproxy.http.trace import Kind, Span, Trace
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.path import Path

_DESCRIBED = {
    prefix: tuple(
        (name, prefix + name.decode("ascii"))
        for name in (b"content-length", b"content-type", b"transfer-encoding")
    )
    for prefix in ("http.req.", "http.rsp.")
}
"""The fields that spans have, with their tags."""


class Noted:
    """What becomes of a request or an attempt, which begins now; times in microseconds."""

    __slots__ = (
        "bound_id",
        "ended_us",
        "endpoint",
        "error",
        "failed",
        "head",
        "head_us",
        "id",
        "is_retry",
        "retryable",
        "started_us",
    )

    def __init__(self, trace: TraceId, bound_id: Path | None = None, retries: int = 0) -> None:
        self.id = trace
        self.bound_id = bound_id
        self.is_retry = retries > 0
        self.endpoint = ""
        self.error = ""
        self.head: tuple[int, bytes, tuple[bytes, ...], tuple[bytes, ...]] | None = None
        """Status, version, and the names and lines of the header of the response."""
        self.head_us = 0
        """When the head came, if the body was still to come."""
        self.started_us = time_ns() // 1000

    def answered(self, response: Response) -> bool:
        """Notes the head of *response*. Returns True if that was the end."""
        headers = response.headers
        names, lines = tuple(headers.names), tuple(headers.lines)
        self.head = response.status, response.version, names, lines
        ending = response.ending
        if ending is None or ending.is_settled:
            self.end(response)
            return True
        self.head_us = time_ns() // 1000
        return False

    def end(self, response: Response, *, broken: bool = False) -> None:
        """Notes the verdict on *response* at its end."""
        self.failed, self.retryable = response.failed, response.retryable
        if broken:
            self.error = "cut"
        elif response.failed or response.status >= 500:
            self.error = str(response.status)
        self.ended_us = time_ns() // 1000

    def fail(self, reason: str) -> None:
        """Notes the end without a response."""
        self.error = reason
        self.ended_us = time_ns() // 1000

    def span(self, kind: Kind, name: str, service: str) -> Span:
        """Returns the span of *kind* by the router labelled *service*."""
        span = Span(self.id, kind, name, service, self.started_us)
        span.duration_us = max(self.ended_us - self.started_us, 1)
        return span

    def describe(self, span: Span) -> None:
        """Adds what became of it to *span*."""
        tags = span.tags
        if self.head is not None:
            status, version, names, lines = self.head
            tags["http.rsp.status"] = str(status)
            tags["http.rsp.version"] = "HTTP/" + version.decode("ascii")
            _describe(tags, "http.rsp.", names, lines)
            if not self.failed:
                tags["l5d.success"] = "1.0"
            elif self.retryable:
                tags["l5d.retryable"] = "0.0"
            else:
                tags["l5d.failure"] = "0.0"
        if self.error:
            tags["error"] = self.error
        if self.head_us:
            span.events.append((self.head_us, "response head"))


class RecordedTrace(Trace):
    """The trace of a request whose spans are recorded, by the router labelled *service*.

    What *request* says is noted before filters change its header.
    """

    __slots__ = (
        "_asked",
        "_attempts",
        "_dtab",
        "_is_open",
        "_lines",
        "_local",
        "_names",
        "_phases",
        "_remote",
        "_service",
        "dst",
        "has_phases",
        "server",
    )

    def __init__(
        self,
        trace: TraceId,
        propagator: Propagator,
        service: str,
        request: Request,
        *,
        has_phases: bool = False,
    ) -> None:
        self.id = trace
        self.propagator = propagator
        self.has_phases = has_phases
        self.dst: Path | None = None
        """The logical name, if it got one."""
        self._service = service
        self._asked = request.method, request.target, request.version
        headers, peer = request.headers, request.peer
        self._names, self._lines = tuple(headers.names), tuple(headers.lines)
        self._local, self._remote = ("", "") if peer is None else (peer.local, peer.remote)
        self._dtab = request.local_dtab
        self._is_open = True
        self._attempts: list[Noted] = []
        self._phases: list[Span] = []
        self.server = Noted(trace)

    def add_attempt(self, noted: Noted) -> None:
        """Adds an attempt that has ended."""
        if self._is_open:
            self._attempts.append(noted)

    def close(self) -> None:
        """Ends the request: what ends later is not recorded."""
        self._is_open = False

    def size(self, *, phases: bool) -> int:
        """Returns how many spans there are."""
        return len(self._attempts) + 1 + (len(self._phases) if phases else 0)

    def spans(self, *, phases: bool) -> list[Span]:
        """Returns the spans, the server's last."""
        name = self._asked[0].decode("ascii")
        made = [self._attempt_span(noted, name) for noted in self._attempts]
        if phases:
            made += self._phases
        made.append(self._server_span(name))
        return made

    def _attempt_span(self, noted: Noted, name: str) -> Span:
        span = noted.span("CLIENT", name, self._service)
        if noted.bound_id is not None:
            span.tags["client"] = noted.bound_id.show()
        span.remote = noted.endpoint
        noted.describe(span)
        return span

    def _server_span(self, name: str) -> Span:
        span = self.server.span("SERVER", name, self._service)
        span.local, span.remote = self._local, self._remote
        span.events += [
            (noted.started_us, "finagle.retry") for noted in self._attempts if noted.is_retry
        ]
        _, target, version = self._asked
        tags, names = span.tags, self._names
        tags["http.uri"] = target.decode("latin-1")
        tags["http.req.method"] = name
        tags["http.req.version"] = "HTTP/" + version.decode("ascii")
        if b"host" in names:
            tags["http.req.host"] = _value(self._lines[names.index(b"host")])
        _describe(tags, "http.req.", names, self._lines)
        tags["router.label"] = self._service
        if self._dtab:
            tags["dtab.local"] = self._dtab.show()
        if self.dst is not None:
            tags["service"] = self.dst.show()
        self.server.describe(span)
        return span

    def bind_phase(self, request: Request, bits: Callable[[int], int]) -> None:
        """Adds the time that *request* waited for its name to be bound, if it had to."""
        seconds = (request.phases or {}).get(BIND)
        if seconds is not None:
            self.phase(self.id, BIND, self.server.started_us, seconds, bits)

    def attempt_phases(
        self,
        attempt: Noted,
        before: Mapping[str, float],
        request: Request,
        bits: Callable[[int], int],
    ) -> int:
        """Adds what *attempt* waited for, one after the other; returns the present microsecond.

        *before* are the times of *request* before the attempt; what is left of it is `wait`.
        """
        begins = attempt.started_us
        for name, total in (request.phases or {}).items():
            seconds = total - before.get(name, 0.0)
            if seconds > 0 and name != BIND:
                begins += self.phase(attempt.id, name, begins, seconds, bits).duration_us
        now_us = time_ns() // 1000
        self.phase(attempt.id, "wait", begins, (now_us - begins) / 1e6, bits)
        return now_us

    def phase(
        self,
        parent: TraceId,
        name: str,
        started_us: int,
        seconds: float,
        bits: Callable[[int], int],
    ) -> Span:
        """Adds a span of *seconds* below *parent*."""
        span = Span(parent.child(bits(64)), "INTERNAL", name, self._service, started_us)
        span.duration_us = max(round(seconds * 1e6), 1)
        if self._is_open:
            self._phases.append(span)
        return span


def _describe(
    tags: dict[str, str], prefix: str, names: tuple[bytes, ...], lines: tuple[bytes, ...]
) -> None:
    for name, tag in _DESCRIBED[prefix]:
        if name in names:
            tags[tag] = _value(lines[names.index(name)])


def _value(line: bytes) -> str:
    return line.partition(b":")[2].strip(b" \t").decode("latin-1")
