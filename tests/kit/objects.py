"""How many objects there are: what is kept by mistake shows."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def objects() -> int:
    """Return the number of objects that are still in use."""
    gc.collect()
    return len(gc.get_objects())


@contextmanager
def without_collector() -> Iterator[None]:
    """Let only what nothing refers to be freed, and no reference in a circle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(*kinds: type) -> int:
    """Return the number of objects of these *kinds*, freed ones left out."""
    return sum(type(one) in kinds for one in gc.get_objects())
