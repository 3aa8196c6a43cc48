"""Counts what a peer may do only so often: frames that cost us more than they cost him.

A bucket holds tokens; each doubtful frame takes some, time and honest work put some back. An empty
bucket ends the connection with ENHANCE_YOUR_CALM.
"""

from meshproxy.h2.errors import ErrorCode, H2ConnectionError


class Bucket:
    """*capacity* tokens, of which *per_second* come back with time; *now* is in seconds."""

    __slots__ = ("_at", "_capacity", "_per_second", "_tokens", "_what")

    def __init__(self, what: str, capacity: float, per_second: float, now: float) -> None:
        self._what = what
        self._capacity = self._tokens = capacity
        self._per_second = per_second
        self._at = now

    def take(self, now: float, cost: float = 1) -> None:
        """Takes *cost* tokens. Raises H2ConnectionError if they are not there."""
        if not self.may_take(now, cost):
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._what}")

    def may_take(self, now: float, cost: float = 1) -> bool:
        """Takes *cost* tokens. Returns False, and takes none, if they are not there."""
        if self._tokens < cost:
            self.give((now - self._at) * self._per_second)
            self._at = now
            if self._tokens < cost:
                return False
        self._tokens -= cost
        return True

    def give(self, count: float) -> None:
        """Puts tokens back, up to the capacity."""
        self._tokens = min(self._capacity, self._tokens + count)


class Guard:
    """The limits of one connection (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2025-8671)."""

    __slots__ = ("resets", "trifles")

    RESETS = 200
    RESETS_PER_SECOND = 33
    RESETS_PER_STREAM = 1 / 8
    """What each new stream adds: a client may always cancel one in eight."""
    TRIFLES = 10_000
    TRIFLES_PER_SECOND = 330
    USEFUL = 2
    """What useful work puts back: a stream, or a DATA frame sent that was no sliver."""
    GRANT_BITS = 11
    """Of the bytes of DATA sent, each 2 KiB put back one more: Go's client opens its windows, the
    stream's and the connection's, for every 4 KiB that its caller reads."""
    SLIVER = 256
    """Bytes below which DATA that a peer's window cut short is no useful work."""

    def __init__(self, now: float) -> None:
        self.resets = Bucket("resets of streams", self.RESETS, self.RESETS_PER_SECOND, now)
        self.trifles = Bucket(
            "frames without use: SETTINGS, WINDOW_UPDATE, PRIORITY, empty DATA",
            self.TRIFLES,
            self.TRIFLES_PER_SECOND,
            now,
        )

    def stream_opened(self) -> None:
        """Counts a new stream."""
        self.resets.give(self.RESETS_PER_STREAM)
        self.trifles.give(self.USEFUL)
