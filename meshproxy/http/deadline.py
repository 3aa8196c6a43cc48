"""The deadline of a request, as `l5d-ctx-deadline` carries it from proxy to proxy.

finagle: context/Deadline.scala; linkerd: .../finagle/buoyant/linkerd/LinkerdHeaders.scala. Times
are in nanoseconds since 1970, as machines share no monotonic clock; nothing here waits by them.
"""

import re
from typing import NamedTuple

_VALUE = re.compile(rb"([+-]?[0-9]{1,19}) ([+-]?[0-9]{1,19})(?: .*)?").fullmatch
_LONG = range(-(2**63), 2**63)


class Deadline(NamedTuple):
    """A deadline, and the time at which it was set."""

    timestamp_ns: int
    deadline_ns: int

    @classmethod
    def decode(cls, value: bytes) -> "Deadline | None":
        """Reads `TIMESTAMP DEADLINE` and ignores further words. Returns None for anything else."""
        match = _VALUE(value)
        if match is None:
            return None
        timestamp_ns, deadline_ns = int(match[1]), int(match[2])
        if timestamp_ns not in _LONG or deadline_ns not in _LONG:
            return None
        return cls(timestamp_ns, deadline_ns)

    def encode(self) -> bytes:
        """Returns the value of the header."""
        return b"%d %d" % self

    def combined(self, other: "Deadline | None") -> "Deadline":
        """Returns the stricter of both: the earlier deadline with the later timestamp."""
        return shortened(other, *self)


def shortened(known: Deadline | None, timestamp_ns: int, deadline_ns: int) -> Deadline:
    """Returns *known* combined with a *deadline_ns* that was set at *timestamp_ns*."""
    if known is not None:
        timestamp_ns = max(timestamp_ns, known[0])
        deadline_ns = min(deadline_ns, known[1])
    return Deadline(timestamp_ns, deadline_ns)
