"""New traces read back as what they are: an attempt's span below the server's."""

import os
import random

import pytest

from meshproxy.http.headers import of
from meshproxy.http.new_traces import COUNT, NAMES, new_traces
from meshproxy.http.propagation import L5d
from meshproxy.http.trace_id import SAMPLED, SAMPLING_KNOWN, TraceId


@pytest.mark.parametrize("flags", [0, SAMPLING_KNOWN, SAMPLING_KNOWN | SAMPLED, 255])
def test_lines_are_those_of_the_same_trace_written_alone(flags: int) -> None:
    ids = [random.getrandbits(64) for _ in range(2 * COUNT)]
    drawn = b"".join(one.to_bytes(8) for one in ids)
    made = new_traces(flags, lambda count: drawn[:count])
    for lines, span, server in zip(made, ids[::2], ids[1::2], strict=True):
        alone = of()
        L5d().write(alone, TraceId(span, server, server, flags))
        assert (list(NAMES), list(lines)) == (alone.names, alone.lines)


@pytest.mark.parametrize("byte", [0, 255])
def test_the_smallest_and_the_largest_ids_can_be_read(byte: int) -> None:
    id_ = int.from_bytes(bytes([byte]) * 8)
    for trace, reqid in new_traces(SAMPLING_KNOWN, lambda count: bytes([byte]) * count):
        assert TraceId.decode(trace.removeprefix(b"l5d-ctx-trace: ")) == TraceId(id_, id_, id_, 2)
        assert reqid == b"l5d-reqid: %016x" % id_


def test_no_two_are_alike() -> None:
    made = [line for _ in range(30) for line in new_traces(0, os.urandom)]
    assert len({trace for trace, _ in made}) == len({reqid for _, reqid in made}) == 30 * COUNT
