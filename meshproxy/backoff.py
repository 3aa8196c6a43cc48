"""Delays between tries (finagle: Backoff.scala).

A backoff is a factory of endless iterators of seconds; inside, times are whole nanoseconds.
"""

import itertools
import random as _random
from collections.abc import Callable, Iterator

Backoff = Callable[[], Iterator[float]]
"""Starts the sequence from its beginning."""

_NS = 1_000_000_000


def constant(seconds: float) -> Backoff:
    """Returns a backoff of the same wait for ever."""
    return lambda: itertools.repeat(seconds)


def decorrelated_jitter(
    min_s: float, max_s: float, random: Callable[[], float] = _random.random
) -> Backoff:
    """Returns a backoff from *min_s*, each wait random up to three times the last, at most *max_s*.

    Raises ValueError unless 0 < min_s <= max_s.
    """
    low, high = _bounds(min_s, max_s)

    def waits() -> Iterator[float]:
        current = low
        while True:
            yield current / _NS
            upper = high if current >= high // 3 else 3 * current
            current += int(random() * (upper - current))

    return waits


def full_jitter(
    start_s: float, max_s: float, random: Callable[[], float] = _random.random
) -> Backoff:
    """Returns a backoff from *start_s*, then random below a bound that doubles up to *max_s*.

    Raises ValueError unless 0 < start_s <= max_s.
    """
    start, high = _bounds(start_s, max_s)

    def waits() -> Iterator[float]:
        upper = start
        yield start / _NS
        while True:
            upper = min(2 * upper, high)
            yield int(random() * upper) / _NS

    return waits


def equal_jitter(
    start_s: float, max_s: float, random: Callable[[], float] = _random.random
) -> Backoff:
    """Returns a backoff from *start_s*, then half fixed and half random, doubling up to *max_s*.

    Raises ValueError unless 0 < start_s <= max_s.
    """
    start, high = _bounds(start_s, max_s)

    def waits() -> Iterator[float]:
        yield start / _NS
        scale = 1
        while start < high // scale:
            half = start * scale
            wait = half + int(random() * half)
            if wait >= high:
                break
            yield wait / _NS
            scale *= 2
        yield from itertools.repeat(high / _NS)

    return waits


def _bounds(first_s: float, max_s: float) -> tuple[int, int]:
    """Returns both in nanoseconds. Raises ValueError."""
    if not 0 < first_s <= max_s:
        raise ValueError(f"a backoff needs 0 < first <= longest wait, not {first_s} and {max_s}")
    return round(first_s * _NS), round(max_s * _NS)
