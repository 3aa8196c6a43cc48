"""Carries a trace in header fields: Linkerd's own, Zipkin's B3, and the W3C's Trace Context.

linkerd: .../finagle/buoyant/linkerd/{LinkerdHeaders,ZipkinTracePropagator}.scala;
github.com/openzipkin/b3-propagation; w3.org/TR/trace-context.
"""

import re
from binascii import hexlify as _hex
from collections.abc import Sequence
from typing import Protocol

from meshproxy.http import l5d
from meshproxy.http.headers import Headers, prefix
from meshproxy.http.trace_id import DEBUG, TraceId

_HEX_ID = re.compile(rb"(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32})").fullmatch
_SPAN_ID = re.compile(rb"[0-9a-fA-F]{16}").fullmatch
_WRITTEN = (l5d.CTX_TRACE, l5d.REQID)
_TO_TRACE, _TO_REQID = map(prefix, _WRITTEN)
_LOW_HALF = 2**64 - 1
_TRACEPARENT = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
).fullmatch
_W3C_SAMPLED = 1
_DECISIONS = {b"1": True, b"true": True, b"0": False, b"false": False, b"d": True}


class Propagator(Protocol):
    """A format for carrying a trace."""

    @property
    def fields(self) -> frozenset[bytes]:
        """The lower-case names of the fields it reads and writes."""
        ...

    def read(self, headers: Headers) -> TraceId | None:
        """Returns the caller's span; None if there is none, or it is malformed."""
        ...

    def write(self, headers: Headers, trace: TraceId) -> None:
        """Replaces the fields with *trace*, which the next hop serves."""
        ...


class L5d:
    """`l5d-ctx-trace`, and `l5d-reqid` for human readers: the low half of the trace id."""

    fields = frozenset({l5d.CTX_TRACE, l5d.REQID})

    def read(self, headers: Headers) -> TraceId | None:
        """Returns the caller's span."""
        value = headers.get(l5d.CTX_TRACE)
        return None if value is None else TraceId.decode(value)

    def write(self, headers: Headers, trace: TraceId) -> None:
        """Replaces both fields."""
        if l5d.CTX_TRACE in headers.names:
            headers.remove_where(self.fields.__contains__)
        headers.names += _WRITTEN
        headers.lines += (
            _TO_TRACE + trace.encode(),
            _TO_REQID + _hex(trace.trace.to_bytes(8)),
        )


class B3:
    """`x-b3-*`, as Linkerd writes them; the single field `b3` is read too."""

    fields = frozenset(
        {
            b"b3",
            b"x-b3-traceid",
            b"x-b3-spanid",
            b"x-b3-parentspanid",
            b"x-b3-sampled",
            b"x-b3-flags",
        }
    )

    def read(self, headers: Headers) -> TraceId | None:
        """Returns the caller's span; the single field takes precedence."""
        single = headers.get(b"b3")
        if single is not None:
            trace, span, sampled, parent = (*single.split(b"-"), b"", b"", b"")[:4]
            return _b3(trace, span, parent, sampled, debug=sampled == b"d")
        trace, span, parent, sampled = (
            headers.get(name) or b""
            for name in (b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled")
        )
        return _b3(trace, span, parent, sampled, debug=headers.get(b"x-b3-flags") == b"1")

    def write(self, headers: Headers, trace: TraceId) -> None:
        """Replaces all fields; an undecided trace has no `x-b3-sampled`."""
        headers.remove_where(self.fields.__contains__)
        high = b"%016x" % trace.high if trace.high else b""
        headers.write(b"x-b3-traceid", b"%b%016x" % (high, trace.trace))
        headers.write(b"x-b3-spanid", b"%016x" % trace.span)
        headers.write(b"x-b3-parentspanid", b"%016x" % trace.parent)
        if trace.flags & DEBUG:
            headers.write(b"x-b3-flags", b"1")
        elif trace.is_sampled is not None:
            headers.write(b"x-b3-sampled", b"%d" % trace.is_sampled)


class W3c:
    """`traceparent`; `tracestate` is passed on with it, and dropped without it."""

    fields = frozenset({b"traceparent", b"tracestate"})

    def read(self, headers: Headers) -> TraceId | None:
        """Returns the caller's span, from any version that begins as version 00 does."""
        values = headers.get_all(b"traceparent")
        match = _TRACEPARENT(values[0]) if len(values) == 1 else None
        if match is None:
            return None
        version, trace, span, flags, more = match.groups()
        ids = int(trace, 16), int(span, 16)
        if version == b"ff" or (version == b"00" and more) or not all(ids):
            return None
        found = TraceId(ids[1], 0, ids[0] & _LOW_HALF, 0, ids[0] >> 64)
        return found.sampled(bool(int(flags, 16) & _W3C_SAMPLED))

    def write(self, headers: Headers, trace: TraceId) -> None:
        """Replaces `traceparent`, in which an undecided trace counts as not sampled."""
        if self.read(headers) is None:
            headers.remove(b"tracestate")
        headers.remove(b"traceparent")
        value = b"00-%016x%016x-%016x-%02x" % (
            trace.high,
            trace.trace,
            trace.span,
            bool(trace.is_sampled),
        )
        headers.write(b"traceparent", value)


class Several:
    """Several formats: the first one that finds a span is used, all are written."""

    def __init__(self, propagators: Sequence[Propagator]) -> None:
        self._propagators = propagators
        self.fields = frozenset().union(*(one.fields for one in propagators))

    def read(self, headers: Headers) -> TraceId | None:
        """Returns the caller's span."""
        found = (one.read(headers) for one in self._propagators)
        return next((trace for trace in found if trace is not None), None)

    def write(self, headers: Headers, trace: TraceId) -> None:
        """Replaces the fields of all formats."""
        for one in self._propagators:
            one.write(headers, trace)


def _b3(trace: bytes, span: bytes, parent: bytes, sampled: bytes, *, debug: bool) -> TraceId | None:
    if not (_HEX_ID(trace) and _SPAN_ID(span)):
        return None
    whole = int(trace, 16)
    if not whole or not int(span, 16):
        return None
    above = int(parent, 16) if _SPAN_ID(parent) else 0
    found = TraceId(int(span, 16), above, whole & _LOW_HALF, DEBUG * debug, whole >> 64)
    decision = _DECISIONS.get(sampled.lower())
    return found if decision is None else found.sampled(decision)
