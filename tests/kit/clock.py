"""A clock that moves when it is told to."""


class FakeClock:
    """Seconds from `clock()`, nanoseconds from `clock.ns()`; both move by `advance` alone."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._ns = round(start_s * 1e9)

    def __call__(self) -> float:
        return self._ns / 1e9

    def ns(self) -> int:
        """Return the time in nanoseconds."""
        return self._ns

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*."""
        self._ns += round(seconds * 1e9)
