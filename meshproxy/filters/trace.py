"""The spans of a request: one for the server, and one below it for each attempt.

linkerd: TraceInitializer.scala; finagle: tracing/{Trace,TraceInitializerFilter}.scala. An endpoint
gets the span of its attempt. Without a recorder only ids are kept.
"""

import os
import random as _random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time_ns
from typing import ClassVar

from meshproxy.config.bases import TracePropagatorConfig
from meshproxy.errors import ProxyError
from meshproxy.filters.spans import Noted, RecordedTrace
from meshproxy.http import l5d
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.http.new_traces import NAMES, Lines, new_traces
from meshproxy.http.propagation import B3, L5d, Propagator, W3c
from meshproxy.http.trace import UNSAMPLED, Recorder, Trace
from meshproxy.http.trace_id import DEBUG, SAMPLED, SAMPLING_KNOWN, TraceId, sample_rate
from meshproxy.service import Service

_made = tuple.__new__  # without the frame of a NamedTuple's own
_DECIDED = DEBUG | SAMPLING_KNOWN
"""Flags of a trace whose sampling is decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTracePropagatorConfig(TracePropagatorConfig):
    """Traces in `l5d-ctx-trace`."""

    kind: ClassVar[str] = "io.l5d.default"

    def build(self) -> L5d:
        """Returns the propagator."""
        return L5d()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipkinTracePropagatorConfig(TracePropagatorConfig):
    """Traces in Zipkin's `x-b3-` fields; a single field `b3` is read as well."""

    kind: ClassVar[str] = "io.l5d.zipkin"

    def build(self) -> B3:
        """Returns the propagator."""
        return B3()


@dataclass(frozen=True, slots=True, kw_only=True)
class W3cTracePropagatorConfig(TracePropagatorConfig):
    """Traces in the W3C's `traceparent` and `tracestate`."""

    kind: ClassVar[str] = "io.l5d.w3c"

    def build(self) -> W3c:
        """Returns the propagator."""
        return W3c()


class ServerSpan:
    """Continues the caller's trace or begins one; `l5d-sample` overrides the caller's decision.

    Ids come from *bits*, the source of the balancers' draws; they are not secrets.
    """

    def __init__(
        self,
        propagator: Propagator,
        recorders: Sequence[Recorder] = (),
        service: str = "",
        bits: Callable[[int], int] = _random.getrandbits,
    ) -> None:
        self._propagator = propagator
        self._recorders = recorders
        self._service = service
        self._bits = bits
        self._salt = bits(64)
        self._read = propagator.fields | {l5d.SAMPLE}
        self._on_errors = any(one.wants_errors for one in recorders)
        self._has_phases = any(one.wants_phases for one in recorders)
        is_l5d = isinstance(propagator, L5d)
        self._begins_late = is_l5d and bool(recorders) and not self._on_errors
        """True if the first attempt begins a new trace that nobody records."""
        self.is_needed = bool(recorders) or not is_l5d
        """False if nothing has to be done for a request without a trace: `AttemptSpan` begins it.

        `adopt` is then enough.
        """

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves within the server's span."""
        span = trace = self._bits(64)
        flags, found = 0, None
        if not self._read.isdisjoint(request.headers.names):
            found = self._continued(request.headers, span)
            trace, flags = found.trace, found.flags
        wanted: tuple[Recorder, ...] = ()
        for one in self._recorders:  # without the frame of a comprehension
            if one.wants(trace, flags):
                wanted += (one,)
        if found is None:
            if self._begins_late and not wanted:
                request.trace = UNSAMPLED
                return service(request)
            if self._recorders:
                flags = SAMPLING_KNOWN | SAMPLED if wanted else SAMPLING_KNOWN
            found = _made(TraceId, (span, span, span, flags, 0))
        elif self._recorders and not flags & _DECIDED:
            found = found.sampled(bool(wanted))
        if wanted or self._on_errors:
            return self._recorded(found, wanted, request, service)
        request.trace = Trace(found, self._propagator)
        return service(request)

    def adopt(self, request: Request) -> None:
        """Continues the trace of *request*, if it came with one."""
        headers = request.headers
        if not self._read.isdisjoint(headers.names):
            request.trace = Trace(self._continued(headers, self._bits(64)), self._propagator)

    def _continued(self, headers: Headers, span: int) -> TraceId:
        received = self._propagator.read(headers)
        trace = TraceId.root(span) if received is None else received.child(span)
        rate = sample_rate(headers.get(l5d.SAMPLE))
        headers.remove(l5d.SAMPLE)
        if rate is None:
            return trace
        return trace.sampled((trace.trace ^ self._salt) % 10000 < rate * 10000)

    def _recorded(
        self,
        found: TraceId,
        wanted: Sequence[Recorder],
        request: Request,
        service: Service[Request, Response],
    ) -> Response:
        propagator, has_phases = self._propagator, self._has_phases
        trace = RecordedTrace(found, propagator, self._service, request, has_phases=has_phases)
        request.trace = trace
        server = trace.server
        try:
            response = service(request)
        except ProxyError as error:
            trace.dst = request.dst
            server.fail(error.reason)
            self._finish(trace, wanted)
            raise
        trace.dst = request.dst
        if has_phases:
            trace.bind_phase(request, self._bits)
        if server.answered(response):
            self._finish(trace, wanted)
        else:
            self._await(response, trace, wanted)
        return response

    def _await(self, response: Response, trace: RecordedTrace, wanted: Sequence[Recorder]) -> None:
        """Ends the spans at the end of the body, which is still arriving."""

        def ended(broken: bool) -> None:
            trace.server.end(response, broken=broken)
            self._finish(trace, wanted)

        if response.ending is not None:
            response.ending.then(ended)

    def _finish(self, trace: RecordedTrace, wanted: Sequence[Recorder]) -> None:
        """Passes the spans to those that want them, now that all have ended."""
        trace.is_open = False
        for recorder in wanted:
            recorder.record(trace)
        if self._on_errors and trace.server.outcome[0]:
            for recorder in self._recorders:
                if recorder.wants_errors and recorder not in wanted:
                    recorder.record(trace)


class AttemptSpan:
    """Passes the span of an attempt to the endpoint: a new one below the server's each time.

    A request without a trace begins one, as does one whose trace is `UNSAMPLED`: only their headers
    are kept.
    """

    def __init__(
        self,
        bits: Callable[[int], int] = _random.getrandbits,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._bits = bits
        self._random_bytes = random_bytes
        self._undecided: list[Lines] = []
        """New traces for the next requests: an endpoint decides if it records one of these."""
        self._unsampled: list[Lines] = []

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Sends one attempt."""
        headers = request.headers
        trace = request.trace
        if trace is None or trace is UNSAMPLED:
            if not request.retries or l5d.CTX_TRACE not in headers.names:
                made = self._undecided if trace is None else self._unsampled
                if not made:
                    flags = 0 if trace is None else SAMPLING_KNOWN
                    made += new_traces(flags, self._random_bytes)
                headers.names += NAMES
                headers.lines += made.pop()
                return service(request)
            request.trace = trace = _as_told(headers)
        own, _, root, flags, high = trace.id
        child = _made(TraceId, (self._bits(64), own, root, flags, high))
        trace.propagator.write(headers, child)
        if isinstance(trace, RecordedTrace):
            return self._recorded(trace, child, request, service)
        return service(request)

    def _recorded(
        self,
        trace: RecordedTrace,
        child: TraceId,
        request: Request,
        service: Service[Request, Response],
    ) -> Response:
        noted = Noted(child, request.bound_id, request.retries)
        before = request.phases or {}
        try:
            response = service(request)
        except ProxyError as error:
            noted.endpoint = request.endpoint
            if trace.has_phases:
                trace.attempt_phases(noted, before, request, self._bits)
            noted.fail(error.reason)
            trace.add_attempt(noted)
            raise
        noted.endpoint = request.endpoint
        if trace.has_phases:
            self._add_phases(trace, noted, before, request, response)
        if noted.answered(response):
            trace.add_attempt(noted)
        else:
            _await(response, trace, noted)
        return response

    def _add_phases(
        self,
        trace: RecordedTrace,
        noted: Noted,
        before: Mapping[str, float],
        request: Request,
        response: Response,
    ) -> None:
        """Adds the phases of an attempt up to its head, and its body if that is yet to come."""
        head_us = trace.attempt_phases(noted, before, request, self._bits)
        if response.ending is not None and not response.ending.is_settled:
            body = trace.phase(noted.id, "body", head_us, 0, self._bits)

            def ended(broken: bool) -> None:
                del broken
                body.duration_us = max(time_ns() // 1000 - head_us, 1)

            response.ending.then(ended)


def _await(response: Response, trace: RecordedTrace, noted: Noted) -> None:
    """Ends the span of an attempt at the end of the body, which is still arriving."""

    def ended(broken: bool) -> None:
        noted.end(response, broken=broken)
        trace.add_attempt(noted)

    if response.ending is not None:
        response.ending.then(ended)


def _as_told(headers: Headers) -> Trace:
    """Returns the trace that the first attempt has begun."""
    propagator = L5d()
    told = propagator.read(headers) or TraceId(0, 0, 0)
    return Trace(TraceId(told.parent, told.parent, told.trace, told.flags), propagator)
