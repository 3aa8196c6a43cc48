"""What every greenlet waits for, as text, to find out why nothing moves.

In place of twitter-server's ThreadsHandler. Greenlets at the same place share an entry.
"""

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Final

from gevent import get_hub
from greenlet import greenlet

from meshproxy.net.turn import next_turn

MAX_PLACES: Final = 200
"""Entries shown, the most frequent ones first."""
_MAX_FRAMES: Final = 30
_OBJECTS_PER_TURN: Final = 20_000
"""Objects checked before other greenlets get their turn."""
_ROOT: Final = f"{Path(__file__).parents[2]}/"

Stack = tuple[str, ...]
"""Places in the code as `file:line function`, innermost first."""


def threads() -> str:
    """Returns how many greenlets wait and where, and the threads that run beside the loop."""
    found = Counter(map(_stack, _waiting()))
    lines = [f"{found.total()} greenlets wait, at {len(found)} places."]
    lines += _entries(found)
    own = get_hub().thread_ident
    others = Counter(_stack(frame) for thread, frame in _frames() if thread != own)
    lines += ["", f"{others.total()} threads run beside the loop."]
    lines += _entries(others)
    return "\n".join(lines) + "\n"


def _entries(found: "Counter[Stack]") -> Iterator[str]:
    for stack, times in found.most_common(MAX_PLACES):
        yield ""
        yield f"{times} x {stack[0] if stack else 'not started'}"
        yield from (f"      {place}" for place in stack[1:])
    if len(found) > MAX_PLACES:
        yield ""
        yield f"and {len(found) - MAX_PLACES} places more"


def _waiting() -> Iterator[FrameType | None]:
    """Yields the frame where each greenlet waits; None for one that has not begun."""
    current = greenlet.getcurrent()
    objects = iter(gc.get_objects())
    while some := list(islice(objects, _OBJECTS_PER_TURN)):
        for one in some:
            # a proxy object claims the class of what it stands for, and may run code to do so
            if issubclass(type(one), greenlet) and not one.dead and one is not current:
                yield one.gr_frame
        del some
        next_turn()


def _frames() -> list[tuple[int, FrameType]]:
    return list(sys._current_frames().items())  # noqa: SLF001 - there is no other way to see them


def _stack(frame: FrameType | None) -> Stack:
    places: list[str] = []
    while frame is not None and len(places) < _MAX_FRAMES:
        code = frame.f_code
        file = code.co_filename.removeprefix(_ROOT)
        places.append(f"{file}:{frame.f_lineno} {code.co_qualname}")
        frame = frame.f_back
    return tuple(places)
