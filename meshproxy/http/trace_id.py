"""The id of a span in a trace, as `l5d-ctx-trace` carries it.

finagle: tracing/{TraceId,Flags}.scala. 32 bytes, big-endian: span, parent, trace, flags; eight more
if the trace id has a high half.
"""

import binascii
from struct import Struct
from typing import NamedTuple

_ids = Struct(">QQQQ").pack
_base64 = binascii.b2a_base64
_made = tuple.__new__  # without the frame of a NamedTuple's own
DEBUG = 1
SAMPLING_KNOWN = 2
SAMPLED = 4


class TraceId(NamedTuple):
    """A span of a trace; ids are 64-bit numbers, *high* the upper half of a 128-bit trace id."""

    span: int
    parent: int
    trace: int
    flags: int = 0
    high: int = 0

    def encode(self) -> bytes:
        """Returns the value of `l5d-ctx-trace`."""
        span, parent, trace, flags, high = self
        raw = _ids(span, parent, trace, flags)
        return _base64(raw + high.to_bytes(8, "big") if high else raw, newline=False)

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

    @property
    def is_sampled(self) -> bool | None:
        """True if the spans of the trace are to be recorded, None if that is undecided."""
        if self.flags & DEBUG:
            return True
        return bool(self.flags & SAMPLED) if self.flags & SAMPLING_KNOWN else None

    def child(self, span: int) -> "TraceId":
        """Returns the id of a span below this one."""
        own, _, trace, flags, high = self
        return _made(TraceId, (span, own, trace, flags, high))

    def sampled(self, yes: bool | None) -> "TraceId":
        """Returns the same span with the sampling decision set, or left open."""
        flags = self.flags & ~(SAMPLING_KNOWN | SAMPLED)
        if yes is not None:
            flags |= SAMPLING_KNOWN | (SAMPLED if yes else 0)
        return _made(TraceId, (self.span, self.parent, self.trace, flags, self.high))

    @classmethod
    def root(cls, span: int) -> "TraceId":
        """Returns the first span of a new trace, which is its own parent and its trace."""
        return _made(cls, (span, span, span, 0, 0))


def sample_rate(value: bytes | None) -> float | None:
    """Returns the rate of `l5d-sample`, between 0 and 1; None if it has none."""
    try:
        rate = float(value) if value is not None and b"_" not in value else None
    except ValueError:
        return None
    if rate is None or rate != rate:  # noqa: PLR0124 - NaN is the only float unequal to itself
        return None
    return min(max(rate, 0.0), 1.0)
