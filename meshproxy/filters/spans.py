"""The spans of a request: what is noted of them as it runs, and what they say.

Tags and annotations are Linkerd's (finagle: http/filter/..., tracing/Annotation.scala). References
are noted, so a recorded request waits little; spans are made of them when they are sent.
"""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from meshproxy.filters.span_tags import MAX_BYTES, described, outcome_tags, request_tags, value_of
from meshproxy.http.memo import Memo
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import BIND
from meshproxy.http.propagation import Propagator
from meshproxy.http.trace import Span, SpanFacts, Trace
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.path import Path

_facts: Memo[tuple[Any, ...], SpanFacts] = Memo(512)
"""What recurs in spans, by all that it is made of."""


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
        self.head: tuple[int, bytes, tuple[bytes, bytes, bytes]] | None = None
        """Status and version of the response, and what `described` returns for its header."""
        self.head_us = 0
        """When the head came, if the body was still to come."""
        self.started_us = time_ns() // 1000

    def answered(self, response: Response) -> bool:
        """Notes the head of *response*. Returns True if that was the end."""
        self.head = response.status, response.version, described(response.headers)
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

    def span(self, facts: SpanFacts, remote: str) -> Span:
        """Returns its span, which has *facts*."""
        began = self.started_us
        span = Span(self.id, facts, began, max(self.ended_us - began, 1), remote)
        if self.head_us:
            span.events = ((self.head_us, "response head"),)
        return span

    def outcome(self) -> tuple[bytes, tuple[Any, ...]]:
        """Returns the line of Content-Length, and the rest for `outcome_tags`."""
        if self.head is None:
            return b"", (self.error,)
        status, version, (length, kind, coding) = self.head
        return length, (
            self.error,
            status,
            version,
            kind,
            coding,
            self.failed,
            self.retryable,
        )


class RecordedTrace(Trace):
    """The trace of a request whose spans are recorded, by the router labelled *service*.

    What *request* says is noted before filters change its header.
    """

    __slots__ = (
        "_asked",
        "_attempts",
        "_described",
        "_dtab",
        "_host",
        "_is_open",
        "_local",
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
        headers, names, peer = request.headers, request.headers.names, request.peer
        self._asked = request.method, request.target[:MAX_BYTES], request.version
        self._host = headers.lines[names.index(b"host")][:MAX_BYTES] if b"host" in names else b""
        self._described = described(headers)
        self._local, self._remote = ("", "") if peer is None else (peer.local, peer.remote)
        dtab = request.local_dtab
        self._dtab = dtab.show()[:MAX_BYTES] if dtab else ""
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
        length, outcome = noted.outcome()
        key = ("CLIENT", self._service, name, noted.bound_id, *outcome)
        facts = _facts.get(key)
        if facts is None:
            bound = noted.bound_id
            tags = {"client": bound.show()} if bound is not None else {}
            made = SpanFacts("CLIENT", name, self._service, "", tags | outcome_tags(*outcome))
            facts = _facts.keep(key, made)
        span = noted.span(facts, noted.endpoint)
        if length:
            span.own_tags = {"http.rsp.content-length": value_of(length)}
        return span

    def _server_span(self, name: str) -> Span:
        _, target, version = self._asked
        sent, kind, coding = self._described
        length, outcome = self.server.outcome()
        asked = (name, version, self._host, kind, coding, self._service, self._dtab, self.dst)
        key = ("SERVER", self._local, *asked, *outcome)
        facts = _facts.get(key)
        if facts is None:
            tags = request_tags(*asked) | outcome_tags(*outcome)
            facts = _facts.keep(key, SpanFacts("SERVER", name, self._service, self._local, tags))
        span = self.server.span(facts, self._remote)
        own = {"http.uri": target.decode("latin-1")}
        if sent:
            own["http.req.content-length"] = value_of(sent)
        if length:
            own["http.rsp.content-length"] = value_of(length)
        span.own_tags = own
        retries = [(one.started_us, "finagle.retry") for one in self._attempts[1:] if one.is_retry]
        if retries:
            span.events = (*retries, *span.events)
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
        key = ("INTERNAL", name, self._service)
        facts = _facts.get(key) or _facts.keep(
            key, SpanFacts("INTERNAL", name, self._service, "", {})
        )
        spent_us = max(round(seconds * 1e6), 1)
        span = Span(parent.child(bits(64)), facts, started_us, spent_us)
        if self._is_open:
            self._phases.append(span)
        return span
