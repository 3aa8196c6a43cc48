"""The identity of a request across the mesh: `l5d-ctx-trace` and `l5d-reqid`.

linkerd: TraceInitializer.scala; finagle: tracing/TraceId.scala. 32 bytes, big-endian: span,
parent, trace, flags; eight more if the trace id has a high half.
"""

import binascii
import random as _random
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, NamedTuple

from meshproxy.config.bases import TracePropagatorConfig
from meshproxy.http import l5d
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_ids = Struct(">QQQQ").pack
_base64, _hex = binascii.b2a_base64, binascii.hexlify
SAMPLING_KNOWN = 2
SAMPLED = 4
_NO_FLAGS = bytes(8)
_WRITTEN = (l5d.CTX_TRACE, l5d.REQID)
_HEADERS = frozenset({l5d.CTX_TRACE, l5d.SAMPLE, l5d.REQID})


class TraceId(NamedTuple):
    """A span of a trace; ids are 64-bit numbers, *high* the upper half of a 128-bit trace id."""

    span: int
    parent: int
    trace: int
    flags: int = 0
    high: int = 0

    def encode(self) -> bytes:
        """Returns the value of `l5d-ctx-trace`."""
        raw = _ids(self.span, self.parent, self.trace, self.flags)
        if self.high:
            raw += self.high.to_bytes(8, "big")
        return binascii.b2a_base64(raw, newline=False)

    @classmethod
    def decode(cls, value: bytes) -> "TraceId | None":
        """Reads `l5d-ctx-trace`. Returns None for anything malformed, as if it were absent."""
        try:
            raw = binascii.a2b_base64(value, strict_mode=True)
        except binascii.Error:
            return None
        if len(raw) not in {32, 40}:
            return None
        span, parent, trace, flags, high = (
            int.from_bytes(raw[at : at + 8], "big") for at in range(0, 40, 8)
        )
        return cls(span, parent, trace, flags, high)

    def sampled(self, yes: bool | None) -> "TraceId":
        """Returns the same span with the sampling decision set, or left open."""
        flags = self.flags & ~(SAMPLING_KNOWN | SAMPLED)
        if yes is not None:
            flags |= SAMPLING_KNOWN | (SAMPLED if yes else 0)
        return TraceId(self.span, self.parent, self.trace, flags, self.high)


def sample_rate(value: bytes | None) -> float | None:
    """Returns the rate of `l5d-sample`, between 0 and 1; None if it has none."""
    try:
        rate = float(value) if value is not None and b"_" not in value else None
    except ValueError:
        return None
    if rate is None or rate != rate:  # noqa: PLR0124 - NaN is the only float unequal to itself
        return None
    return min(max(rate, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTracePropagatorConfig(TracePropagatorConfig):
    """Traces in `l5d-ctx-trace`, sampling by `l5d-sample`."""

    kind: ClassVar[str] = "io.l5d.default"

    def build(self) -> "StartTrace":
        """Returns the filter."""
        return StartTrace()


class StartTrace:
    """Continues the caller's trace or begins one, and sends a new span to the endpoint.

    Ids come from *bits*, the source of the balancers' draws; they are not secrets.
    """

    def __init__(self, bits: Callable[[int], int] = _random.getrandbits) -> None:
        self._bits = bits
        self._salt = bits(64)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the trace headers set."""
        headers = request.headers
        if _HEADERS.isdisjoint(headers.names):
            bits = self._bits
            span = bits(64).to_bytes(8, "big")
            context = _base64(span * 3 + _NO_FLAGS)[:-1]  # cheaper than asking for no new line
            trace_id = _hex(span)
        else:
            trace = self._adopt(headers, self._bits(64))
            headers.remove_where(_HEADERS.__contains__)
            context = trace.encode()
            trace_id = b"%016x" % trace.trace
        headers.names += _WRITTEN
        headers.lines += (b"l5d-ctx-trace: " + context, b"l5d-reqid: " + trace_id)
        return service(request)

    def _adopt(self, headers: Headers, span: int) -> TraceId:
        received = TraceId.decode(headers.get(l5d.CTX_TRACE) or b"")
        if received is None:
            trace = TraceId(span, span, span)
        else:
            trace = TraceId(span, received.span, received.trace, received.flags, received.high)
        rate = sample_rate(headers.get(l5d.SAMPLE))
        if rate is not None:
            trace = trace.sampled((trace.trace ^ self._salt) % 10000 < rate * 10000)
        return trace
