"""The identity of a request across the mesh."""

import base64

import pytest

from meshproxy.http.trace_id import TraceId, sample_rate

UNDECIDED = b"AAAAAAAAAKEAAAAAAAAAsgAAAAAAAADDAAAAAAAAAAA="
SAMPLED = b"ASNFZ4mrze8RERERERERESIiIiIiIiIiAAAAAAAAAAY="


@pytest.mark.parametrize(
    ("trace", "encoded"),
    [
        (TraceId(0xA1, 0xB2, 0xC3), UNDECIDED),
        (
            TraceId(0x0123456789ABCDEF, 0x1111111111111111, 0x2222222222222222).sampled(yes=True),
            SAMPLED,
        ),
    ],
)
def test_the_header_is_read_and_written(trace: TraceId, encoded: bytes) -> None:
    assert trace.encode() == encoded
    assert TraceId.decode(encoded) == trace


def test_the_high_half_of_a_long_trace_id_comes_last() -> None:
    trace = TraceId(1, 2, 3, 6, high=0xFFFFFFFFFFFFFFFF)
    raw = base64.b64decode(trace.encode())
    assert (len(raw), raw[32:]) == (40, b"\xff" * 8)
    assert TraceId.decode(trace.encode()) == trace


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"AAAA", UNDECIDED[:-4], UNDECIDED + b"AAAA", b"\xff" * 44, b"!" + UNDECIDED[1:]],
)
def test_a_header_that_cannot_be_read_is_as_if_absent(value: bytes) -> None:
    assert TraceId.decode(value) is None


@pytest.mark.parametrize(("yes", "flags"), [(True, 0b1110), (False, 0b1010), (None, 0b1000)])
def test_the_decision_to_sample_is_two_flags(*, yes: bool | None, flags: int) -> None:
    assert TraceId(1, 1, 1, 0b1110).sampled(yes).flags == flags


@pytest.mark.parametrize(("flags", "decided"), [(0, None), (2, False), (6, True), (1, True)])
def test_whether_a_trace_is_sampled(flags: int, decided: bool | None) -> None:
    assert TraceId(1, 1, 1, flags).is_sampled is decided


def test_a_child_has_a_span_of_its_own_below() -> None:
    assert TraceId(1, 2, 3, 6, 9).child(7) == TraceId(7, 1, 3, 6, 9)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (b"0.25", 0.25),
        (b"1", 1.0),
        (b"3", 1.0),
        (b"-1", 0.0),
        (b"inf", 1.0),
        (b"lots", None),
        (b"1_0", None),
        (b"", None),
        (b"nan", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_the_rate_asked_for(value: bytes | None, rate: float | None) -> None:
    assert sample_rate(value) == rate
