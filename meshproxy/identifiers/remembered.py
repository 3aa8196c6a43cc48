"""Remembers names made before, since requests ask for the same ones again and again."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from meshproxy.naming.path import Path

REMEMBERED: Final = 1000
"""Names kept by each identifier; the least recently used one is dropped."""


def names(prefix: Path) -> Callable[..., Path]:
    """Returns a function that makes names of segments below *prefix* and remembers them."""

    @lru_cache(REMEMBERED)
    def name(*segments: bytes) -> Path:
        return prefix + Path.of(*segments)

    return name
