"""The spans of a request: one for the server, and one below it for each attempt.

linkerd: TraceInitializer.scala; finagle: tracing/{Trace,TraceInitializerFilter}.scala. An endpoint
gets the span of its attempt. Without a recorder only ids are kept.
"""

import binascii
import random as _random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from meshproxy.config.bases import TracePropagatorConfig
from meshproxy.errors import ProxyError
from meshproxy.filters.spans import (
    attempt_phases,
    await_end,
    begin,
    bind_phase,
    describe_request,
    end,
    end_attempt,
    phase,
    tell_name,
)
from meshproxy.http import l5d
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.http.propagation import B3, L5d, Propagator, W3c
from meshproxy.http.trace import Recorder, Span, Trace
from meshproxy.http.trace_id import TraceId, sample_rate
from meshproxy.service import Service

_base64, _hex = binascii.b2a_base64, binascii.hexlify
_NO_FLAGS = bytes(8)
_WRITTEN = (l5d.CTX_TRACE, l5d.REQID)


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
        self._is_plain = isinstance(propagator, L5d) and not recorders
        """True if beginning a new trace is left to `AttemptSpan`."""

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves within the server's span."""
        is_new = self._read.isdisjoint(request.headers.names)
        if is_new and self._is_plain:
            return service(request)
        bits = self._bits
        span = bits(64)
        found = TraceId(span, span, span) if is_new else self._adopt(request.headers, span)
        request.trace = trace = Trace(found, self._propagator)
        if self._recorders:
            wanted = [one for one in self._recorders if one.wants(found)]
            if found.is_sampled is None:
                trace.id = found.sampled(bool(wanted))
            if wanted or self._on_errors:
                return self._recorded(trace, wanted, request, service)
        return service(request)

    def _adopt(self, headers: Headers, span: int) -> TraceId:
        received = self._propagator.read(headers)
        trace = TraceId(span, span, span) if received is None else received.child(span)
        rate = sample_rate(headers.get(l5d.SAMPLE))
        headers.remove(l5d.SAMPLE)
        if rate is None:
            return trace
        return trace.sampled((trace.trace ^ self._salt) % 10000 < rate * 10000)

    def _recorded(
        self,
        trace: Trace,
        recorders: Sequence[Recorder],
        request: Request,
        service: Service[Request, Response],
    ) -> Response:
        trace.has_phases = self._has_phases
        trace.span = span = begin(trace.id, "SERVER", request, self._service)
        finish = partial(self._finish, trace, span, recorders)
        if request.peer is not None:
            span.local, span.remote = request.peer.local, request.peer.remote
        describe_request(span, request)
        span.tags["router.label"] = self._service
        if request.local_dtab:
            span.tags["dtab.local"] = request.local_dtab.show()
        try:
            response = service(request)
        except ProxyError as error:
            span.tags["error"] = error.reason
            tell_name(span, request)
            finish()
            raise
        tell_name(span, request)
        if trace.has_phases:
            bind_phase(trace, span, request, self._bits)
        await_end(span, response, finish)
        return response

    def _finish(self, trace: Trace, span: Span, wanted: Sequence[Recorder]) -> None:
        """Passes the spans to those that want them, now that all have ended."""
        end(span)
        trace.ended.append(span)
        failed = "error" in span.tags
        without_phases = [one for one in trace.ended if one.kind != "INTERNAL"]
        for recorder in self._recorders:
            if recorder in wanted or (failed and recorder.wants_errors):
                recorder.record(trace.ended if recorder.wants_phases else without_phases)


class AttemptSpan:
    """Passes the span of an attempt to the endpoint: a new one below the server's each time.

    A request without a trace begins one; as nobody records it, only its headers are kept.
    """

    def __init__(self, bits: Callable[[int], int] = _random.getrandbits) -> None:
        self._bits = bits

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Sends one attempt."""
        bits, headers = self._bits, request.headers
        trace = request.trace
        if trace is None:
            if l5d.CTX_TRACE not in headers.names:
                ids = bits(128).to_bytes(16, "big")  # the attempt's, then the server's
                headers.names += _WRITTEN
                headers.lines += (
                    b"l5d-ctx-trace: " + _base64(ids + ids[8:] + _NO_FLAGS)[:-1],
                    b"l5d-reqid: " + _hex(ids[8:]),
                )
                return service(request)
            request.trace = trace = _as_told(headers)
        child = trace.id.child(bits(64))
        trace.propagator.write(headers, child)
        if trace.span is None:
            return service(request)
        return self._recorded(trace, trace.span, child, request, service)

    def _recorded(
        self,
        trace: Trace,
        server: Span,
        child: TraceId,
        request: Request,
        service: Service[Request, Response],
    ) -> Response:
        span = begin(child, "CLIENT", request, server.service)
        if request.retries:
            server.events.append((span.started_us, "finagle.retry"))
        if request.bound_id is not None:
            span.tags["client"] = request.bound_id.show()
        before = request.phases or {}
        finish = partial(end_attempt, span, trace)
        try:
            response = service(request)
        except ProxyError as error:
            span.tags["error"] = error.reason
            span.remote = request.endpoint
            if trace.has_phases:
                attempt_phases(trace, span, before, request, self._bits)
            finish()
            raise
        span.remote = request.endpoint
        if trace.has_phases:
            head_us = attempt_phases(trace, span, before, request, self._bits)
            if response.ending is not None and not response.ending.is_settled:
                body = phase(trace, span, "body", head_us, 0, self._bits)
                response.ending.then(lambda _: end(body))
        await_end(span, response, finish)
        return response


def _as_told(headers: Headers) -> Trace:
    """Returns the trace that the first attempt has begun."""
    propagator = L5d()
    told = propagator.read(headers) or TraceId(0, 0, 0)
    return Trace(TraceId(told.parent, told.parent, told.trace), propagator)
