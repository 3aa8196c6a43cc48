"""The identity of a request across the mesh."""

import base64

import pytest

from meshproxy.filters.trace import StartTrace, TraceId, sample_rate
from tests.kit.messages import Replies, request, response

CTX, SAMPLE, REQID = b"l5d-ctx-trace", b"l5d-sample", b"l5d-reqid"
UNDECIDED = b"AAAAAAAAAKEAAAAAAAAAsgAAAAAAAADDAAAAAAAAAAA="
SAMPLED = b"ASNFZ4mrze8RERERERERESIiIiIiIiIiAAAAAAAAAAY="


def started(*fields: tuple[bytes, bytes], bits: tuple[int, ...] = (0, 7)) -> dict[bytes, bytes]:
    """Return the headers an endpoint sees; *bits* are the salt and then the new span."""
    drawn = iter(bits)
    asked = request(*fields)
    StartTrace(lambda _: next(drawn))(asked, Replies(response()))
    return dict(asked.headers.items())


def adopted(value: bytes, *more: tuple[bytes, bytes]) -> TraceId:
    """Return the trace that goes on from one whose header is *value*."""
    found = TraceId.decode(started((CTX, value), *more)[CTX])
    assert found is not None
    return found


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
    assert adopted(value) == TraceId(7, 7, 7)


@pytest.mark.parametrize(("yes", "flags"), [(True, 0b1110), (False, 0b1010), (None, 0b1000)])
def test_the_decision_to_sample_is_two_flags(*, yes: bool | None, flags: int) -> None:
    assert TraceId(1, 1, 1, 0b1110).sampled(yes).flags == flags


def test_without_a_trace_a_new_one_begins() -> None:
    seen = started()
    assert TraceId.decode(seen[CTX]) == TraceId(7, 7, 7)
    assert seen[REQID] == b"0000000000000007"


def test_a_trace_goes_on_with_a_span_of_our_own() -> None:
    seen = started((CTX, SAMPLED))
    assert TraceId.decode(seen[CTX]) == TraceId(7, 0x0123456789ABCDEF, 0x2222222222222222, 6)
    assert seen[REQID] == b"2222222222222222"


def test_a_long_trace_keeps_its_high_half() -> None:
    assert adopted(TraceId(1, 2, 3, 0, 9).encode()) == TraceId(7, 1, 3, 0, 9)


def test_each_request_has_its_own_span() -> None:
    first, second = (started(bits=(0, span))[CTX] for span in (1, 2))
    assert first != second


def test_the_headers_of_the_client_do_not_remain() -> None:
    asked = request((CTX, UNDECIDED), (SAMPLE, b"1"), (REQID, b"forged"), (CTX, SAMPLED))
    StartTrace()(asked, Replies(response()))
    assert [asked.headers.names.count(name) for name in (CTX, SAMPLE, REQID)] == [1, 0, 1]


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


@pytest.mark.parametrize(
    ("trace", "rate", "flags"),
    [
        (TraceId(1, 1, 4999), b"0.5", 6),
        (TraceId(1, 1, 5000), b"0.5", 2),
        (TraceId(1, 1, 5000, 6), b"0", 2),
        (TraceId(1, 1, 9999, 2), b"1.0", 6),
        (TraceId(1, 1, 9999, 6), b"nonsense", 6),
        (TraceId(1, 1, 9999, 1), b"1", 7),
    ],
)
def test_the_rate_decides_over_what_the_trace_says(trace: TraceId, rate: bytes, flags: int) -> None:
    assert adopted(trace.encode(), (SAMPLE, rate)).flags == flags


def test_the_salt_makes_proxies_choose_different_traces() -> None:
    chosen = [
        TraceId.decode(
            started((CTX, TraceId(1, 1, 4999).encode()), (SAMPLE, b"0.5"), bits=(salt, 7))[CTX]
        )
        for salt in (0, 8)
    ]
    assert [one and one.flags for one in chosen] == [6, 2]
