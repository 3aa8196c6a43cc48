"""Limits how often a peer may do what costs us more than it costs the peer.

A bucket holds tokens; each doubtful frame takes some, time and honest work put some back. An empty
bucket ends the connection with ENHANCE_YOUR_CALM (CVE-2019-9511 to 9518, CVE-2023-44487,
CVE-2025-8671).
"""

from meshproxy.h2.errors import ErrorCode, H2ConnectionError

RESETS = 200
RESETS_PER_SECOND = 33
RESETS_PER_STREAM = 1 / 8
"""What each new stream earns: a client may always cancel one in eight."""
FAULT = 2
"""What a stream costs that ended by a fault of the peer: honest ones make hardly any, and what led
to the fault has cost more than a reset."""
TRIFLES = 2000
"""What a new connection may do: it is over before requests that came with the flood are begun."""
TRIFLES_PER_SECOND = 330
TRIFLES_EARNED = 40_000
"""What useful work may save: Go's client may open its windows only after 64 MiB have come."""
USEFUL = 2
"""What useful work earns: a stream, or a DATA frame sent that was no sliver."""
EMPTY_DATA = 4
"""What DATA without a byte or an end costs, which no honest peer sends often."""
GRANT_BITS = 11
"""Of the bytes of DATA sent, each 2 KiB earn one more: Go's client opens its windows, the stream's
and the connection's, for every 4 KiB that its caller reads."""
LARGE_HEAD = 2048
"""Bytes beyond which the head of a request counts: smaller ones are often shared."""
LARGE_HEADS = 512
"""Large heads of a connection that may be in progress, each as large as heads may be."""
SLIVER = 256
"""Bytes below which DATA that a peer's window cut short is no useful work."""


class Bucket:
    """*capacity* tokens, of which *per_second* come back with time; *now* is in seconds.

    Honest work may save up to *most* tokens, by default no more than the capacity.
    """

    __slots__ = ("_at", "_capacity", "_most", "_per_second", "_tokens", "_what", "earned")

    def __init__(
        self, what: str, capacity: float, per_second: float, now: float, most: float = 0
    ) -> None:
        self._what = what
        self._capacity = self._tokens = capacity
        self._most = most or capacity
        self._per_second = per_second
        self._at = now
        self.earned: float = 0
        """Tokens to be put back: honest work adds to it. Those above the most are lost."""

    def take(self, now: float, cost: float = 1) -> None:
        """Takes *cost* tokens. Raises H2ConnectionError if they are not there."""
        tokens = min(self._most, self._tokens + self.earned)
        if tokens >= cost:  # as `may_take` does, without a call
            self.earned = 0
            self._tokens = tokens - cost
        elif not self.may_take(now, cost):
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._what}")

    def may_take(self, now: float, cost: float = 1) -> bool:
        """Takes *cost* tokens. Returns False, and takes none, if they are not there."""
        tokens = min(self._most, self._tokens + self.earned)
        self.earned = 0
        if tokens < cost:
            back = (now - self._at) * self._per_second
            tokens = max(tokens, min(self._capacity, tokens + back))
            self._at = now
            if tokens < cost:
                self._tokens = tokens
                return False
        self._tokens = tokens - cost
        return True


def resets(now: float, part: float = 1) -> Bucket:
    """Returns the bucket for streams that a client resets, or a *part* of it."""
    return Bucket("resets of streams", RESETS * part, RESETS_PER_SECOND * part, now)


def trifles(now: float) -> Bucket:
    """Returns the bucket for frames that have no effect, or hardly any."""
    what = "frames without use: SETTINGS, WINDOW_UPDATE, PRIORITY, empty DATA"
    return Bucket(what, TRIFLES, TRIFLES_PER_SECOND, now, TRIFLES_EARNED)
