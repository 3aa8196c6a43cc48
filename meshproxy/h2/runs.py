"""Runs of frames of one kind that have hardly any effect, read at once.

A peer may send thousands of them before `guard` ends the connection: one by one, that would cost
more than what follows. A frame with any fault is not part of a run, and is read by itself.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, Final

from meshproxy.h2 import frames, guard
from meshproxy.h2.errors import H2StreamError

if TYPE_CHECKING:
    from meshproxy.h2.payloads import FrameHandler

LEAST_BYTES: Final = 256
"""Below that, frames are read one by one."""
_LEAST: Final = 16
_MOST: Final = 2048
"""Frames of one run, so that little is read in vain once there were too many."""
_NUMBER: Final = rb"[\x00-\x7f].{3}"
"""Of 31 bits; peers leave the one before them 0."""
_ABOVE_0: Final = rb"(?!\x00{4})" + _NUMBER
_UPDATE: Final = Struct(">5xLL")
_PING_BYTES: Final = frames.HEAD_BYTES + 8
_PRIORITY_BYTES: Final = frames.HEAD_BYTES + 5


def _run(frame: bytes) -> re.Pattern[bytes]:
    return re.compile(b"(?:%b){%d,%d}+" % (frame, _LEAST, _MOST), re.DOTALL)


_RUNS: Final = {
    # the same frame again and again, without END_STREAM
    frames.DATA: re.compile(
        rb"(\x00{5}%b)\1{%d,%d}+" % (_ABOVE_0, _LEAST - 1, _MOST - 1), re.DOTALL
    ),
    # no stream depends on itself
    frames.PRIORITY: _run(rb"\x00\x00\x05\x02..(?!\x00{3})(...).(?!\1).{4}"),
    # no answers
    frames.PING: _run(rb"\x00\x00\x08\x06\x00\x00{4}.{8}"),
    frames.WINDOW_UPDATE: _run(rb"\x00\x00\x04\x08." + _NUMBER + _ABOVE_0),
}
"""By type."""


def read(handler: "FrameHandler", kind: int, data: bytes, at: int) -> int:
    """Handles the run of frames of type *kind* at *at*, if there is one.

    Returns the position after it, 0 if there is none. They are counted before anything is done
    with them. Raises H2ConnectionError.
    """
    run = _RUNS.get(kind)
    found = run and run.match(data, at)
    if not found:
        return 0
    end = found.end()
    if kind == frames.PRIORITY:
        handler.meaningless_frame((end - at) // _PRIORITY_BYTES)
    elif kind == frames.PING:
        handler.ping_frames(data[at:end], (end - at) // _PING_BYTES)
    elif kind == frames.WINDOW_UPDATE:
        count = (end - at) // _UPDATE.size
        handler.meaningless_frame(count)
        for stream_id, increment in _totals(data[at:end], count):
            with _fault_of_stream(handler):
                handler.window_update_frame(stream_id, increment, 0)
    else:
        count = (end - at) // frames.HEAD_BYTES
        handler.meaningless_frame((count - 1) * guard.EMPTY_DATA)
        with _fault_of_stream(handler):
            handler.data_frame(frames.read_long(data, at + 5), b"", 0, False)
    return end


def _totals(run: bytes, count: int) -> Iterable[tuple[int, int]]:
    """Returns the streams whose windows are enlarged, and by how much each."""
    if run == run[: _UPDATE.size] * count:
        stream_id, increment = _UPDATE.unpack_from(run)
        return ((stream_id, increment * count),)
    totals: dict[int, int] = defaultdict(int)
    for stream_id, increment in _UPDATE.iter_unpack(run):
        totals[stream_id] += increment
    return totals.items()


@contextmanager
def _fault_of_stream(handler: "FrameHandler") -> Iterator[None]:
    """Resets the stream, as the reader does, whose frame was at fault."""
    try:
        yield
    except H2StreamError as error:
        handler.stream_error(error)
