"""The width of an aperture: as many endpoints as keep the mean load of each within a band.

finagle: loadbalancer/aperture/LoadBand.scala, util/Ema.scala.
"""

import time
from collections.abc import Callable
from math import exp


class LoadBand:
    """The width of an aperture, which changes by one step at a time.

    The requests in flight are smoothed over *window_s* seconds and divided by the width: at *high*
    or more it grows, up to the number of endpoints; at *low* or less it shrinks, down to *minimum*.
    """

    __slots__ = (
        "_count",
        "_high",
        "_low",
        "_minimum",
        "_now_ns",
        "_stamp",
        "_window_ns",
        "ema",
        "total",
        "width",
    )

    def __init__(
        self,
        low: float,
        high: float,
        window_s: float,
        minimum: int = 1,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.total = 0
        """Requests in flight."""
        self.ema = 0.0
        """Requests in flight, smoothed."""
        self.width = 1
        self._low = low
        self._high = high
        self._window_ns = window_s * 1e9
        self._minimum = minimum
        self._now_ns = now_ns
        self._stamp: int | None = None
        self._count = 0

    def resize(self, count: int, total: int) -> None:
        """Sets the number of endpoints and the requests in flight; the width stays."""
        self._count = count
        self.total = total
        self.width = max(min(self.width, count), min(self._minimum, count), 1)

    def change(self, by: int) -> int:
        """Counts a request in (*by* is 1) or out (-1). Returns the change of width: 1, 0 or -1."""
        self.total += by
        now = self._now_ns()
        if self._stamp is None:
            self.ema = float(self.total)
        else:
            weight = exp(min(self._stamp - now, 0) / self._window_ns)
            self.ema = self.total * (1 - weight) + self.ema * weight
        self._stamp = now
        mean = self.ema / self.width
        step = 0
        if mean >= self._high and self.width < self._count:
            step = 1
        elif mean <= self._low and self.width > max(min(self._minimum, self._count), 1):
            step = -1
        self.width += step
        return step
