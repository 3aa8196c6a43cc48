"""How often Python's garbage collector looks for references in a circle."""

import gc
from typing import Final

_NEW_OBJECTS: Final = 25_000
"""Objects made and not yet freed before it looks. Hundreds of requests in progress are fewer: with
Python's 700 it looked several times while 100 streams were served, and freed nothing."""


def collect_seldom() -> None:
    """Lets the collector look when there may be something to free; called once it serves."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
