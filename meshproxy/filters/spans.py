"""The spans of a request: what is noted of them as it runs, and what they say.

Tags and annotations are Linkerd's (finagle: http/filter/..., tracing/Annotation.scala). References
are noted, so a recorded request waits little; spans are made of them when they are sent.
"""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from meshproxy.filters.span_tags import MAX_BYTES, described, outcome_tags, request_tags, value_of
from meshproxy.http.headers import MAX_LINE
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
        "head_us",
        "id",
        "length",
        "outcome",
        "retries",
        "started_us",
    )

    endpoint: str
    """The endpoint of an attempt, once that has ended."""
    length: bytes
    """The line of Content-Length of the response, once the outcome is known."""
    outcome: tuple[Any, ...]
    """The arguments of `outcome_tags`."""

    def __init__(self, trace: TraceId, bound_id: Path | None = None, retries: int = 0) -> None:
        self.id = trace
        self.bound_id = bound_id
        self.retries = retries
        """Attempts before this one."""
        self.head_us = 0
        """When the head came, if the body was still to come."""
        self.started_us = time_ns() // 1000

    def answered(self, response: Response) -> bool:
        """Notes the head of *response*. Returns True if that was the end."""
        self.length, kind, coding = described(response.headers)
        status, failed, ending = response.status, response.failed, response.ending
        error = str(status) if failed or status >= 500 else ""
        self.outcome = error, status, response.version, kind, coding, failed, response.retryable
        now_us = time_ns() // 1000
        if ending is None or ending.is_settled:
            self.ended_us = now_us
            return True
        self.head_us = now_us
        return False

    def end(self, response: Response, *, broken: bool = False) -> None:
        """Notes the verdict on *response*, whose head was noted, at its end."""
        _, status, version, kind, coding, _, _ = self.outcome
        failed = response.failed
        error = str(response.status) if failed or response.status >= 500 else ""
        verdict = failed, response.retryable
        self.outcome = "cut" if broken else error, status, version, kind, coding, *verdict
        self.ended_us = time_ns() // 1000

    def fail(self, reason: str) -> None:
        """Notes the end without a response."""
        self.outcome = (reason,)
        self.length = b""
        self.ended_us = time_ns() // 1000


class RecordedTrace(Trace):
    """The trace of a request whose spans are recorded, by the router labelled *service*.

    What *request* says is noted before filters change its header.
    """

    __slots__ = (
        "_asked",
        "_attempts",
        "_length",
        "_local",
        "_phases",
        "_remote",
        "_target",
        "dst",
        "has_phases",
        "is_open",
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
        headers, names, peer = request.headers, request.headers.names, request.peer
        self._target = request.target[:MAX_BYTES]
        self._length, kind, coding = described(headers)
        host = headers.lines[names.index(b"host")][:MAX_BYTES] if b"host" in names else b""
        dtab = "" if request.local_dtab is None else request.local_dtab.show()[:MAX_BYTES]
        self._asked = request.method, request.version, host, kind, coding, service, dtab
        self._local, self._remote = ("", "") if peer is None else (peer.local, peer.remote)
        self.is_open = True
        """True until the request has ended: what ends later is not recorded."""
        self._attempts: list[Noted] = []
        self._phases: list[Span] = []
        self.server = Noted(trace)

    def add_attempt(self, noted: Noted) -> None:
        """Adds an attempt that has ended."""
        if self.is_open:
            self._attempts.append(noted)

    def size(self, *, phases: bool) -> int:
        """Returns how many spans there are."""
        return len(self._attempts) + 1 + (len(self._phases) if phases else 0)

    def spans(self, *, phases: bool) -> list[Span]:
        """Returns the spans, the server's last."""
        made: list[Span] = []
        asked = self._asked
        for noted in self._attempts:
            key = asked[0], asked[5], noted.bound_id, noted.outcome
            facts = _facts.get(key)
            if facts is None:
                facts = _facts.keep(key, _attempt_facts(*key))
            began, ended = noted.started_us, noted.ended_us
            span = Span(noted.id, facts, began, ended - began, noted.endpoint)
            if noted.head_us:
                span.events = ((noted.head_us, "response head"),)
            if noted.length:
                span.own_tags = {"http.rsp.content-length": _lengths[noted.length]}
            made.append(span)
        if phases:
            made += self._phases
        made.append(self._server_span())
        return made

    def _server_span(self) -> Span:
        server = self.server
        key = self._asked, self.dst, server.outcome, self._local
        facts = _facts.get(key)
        if facts is None:
            facts = _facts.keep(key, _server_facts(*key))
        began, ended = server.started_us, server.ended_us
        span = Span(server.id, facts, began, ended - began, self._remote)
        if server.head_us:
            span.events = ((server.head_us, "response head"),)
        own = {"http.uri": self._target.decode("latin-1")}
        if self._length:
            own["http.req.content-length"] = _lengths[self._length]
        if server.length:
            own["http.rsp.content-length"] = _lengths[server.length]
        span.own_tags = own
        if len(self._attempts) > 1:
            retries = [
                (one.started_us, "finagle.retry") for one in self._attempts[1:] if one.retries
            ]
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
        service = self._asked[5]
        key = ("INTERNAL", name, service)
        facts = _facts.get(key) or _facts.keep(key, SpanFacts("INTERNAL", name, service, "", {}))
        spent_us = max(round(seconds * 1e6), 1)
        span = Span(parent.child(bits(64)), facts, started_us, spent_us)
        if self.is_open:
            self._phases.append(span)
        return span


def _attempt_facts(
    method: bytes, service: str, bound: Path | None, outcome: tuple[Any, ...]
) -> SpanFacts:
    tags = {"client": bound.show()} if bound is not None else {}
    name = method.decode("ascii")
    return SpanFacts("CLIENT", name, service, "", tags | outcome_tags(*outcome))


def _server_facts(
    asked: tuple[Any, ...], dst: Path | None, outcome: tuple[Any, ...], local: str
) -> SpanFacts:
    method, version, host, kind, coding, service, dtab = asked
    name = method.decode("ascii")
    tags = request_tags(name, version, host, kind, coding, service, dtab, dst)
    tags |= outcome_tags(*outcome)
    return SpanFacts("SERVER", name, service, local, tags)


class _Lengths(Memo[bytes, str]):
    """The values of lines of Content-Length."""

    def __missing__(self, line: bytes) -> str:
        value = value_of(line)
        return self.keep(line, value) if len(line) <= MAX_LINE else value


_lengths = _Lengths(512)
