"""Traces in header fields: what is read, what is written, and what is not believed."""

import pytest

from meshproxy.http.headers import of
from meshproxy.http.propagation import B3, L5d, Propagator, Several, W3c
from meshproxy.http.trace_id import DEBUG, TraceId

SHORT = TraceId(0xA1, 0xB2, 0xC3)
LONG = TraceId(0xA1, 0xB2, 0xC3, 6, 0xD4)
B3_SHORT = [(b"x-b3-traceid", b"00000000000000c3"), (b"x-b3-spanid", b"00000000000000a1")]
PARENT = b"00-00000000000000d400000000000000c3-00000000000000a1-01"


@pytest.mark.parametrize("propagator", [L5d(), B3()])
@pytest.mark.parametrize("trace", [SHORT, LONG, SHORT.sampled(yes=False), TraceId(1, 2, 3, DEBUG)])
def test_what_is_written_is_read_back(propagator: Propagator, trace: TraceId) -> None:
    headers = of((b"Host", b"a"))
    propagator.write(headers, trace)
    assert propagator.read(headers) == trace
    assert set(headers.names) <= propagator.fields | {b"host"}


@pytest.mark.parametrize("propagator", [L5d(), B3(), W3c()])
def test_a_second_write_replaces_the_first(propagator: Propagator) -> None:
    headers = of()
    propagator.write(headers, LONG)
    propagator.write(headers, LONG.child(7))
    assert len(headers.names) == len(set(headers.names))
    found = propagator.read(headers)
    assert found is not None
    assert (found.span, found.trace, found.high) == (7, 0xC3, 0xD4)


def test_the_request_id_is_the_low_half_of_the_trace() -> None:
    headers = of((b"l5d-reqid", b"forged"), (b"l5d-ctx-trace", b"old"))
    L5d().write(headers, LONG)
    assert headers.get_all(b"l5d-reqid") == [b"00000000000000c3"]


def test_b3_says_undecided_by_leaving_the_decision_out() -> None:
    headers = of()
    B3().write(headers, SHORT)
    assert list(headers.items()) == [*B3_SHORT, (b"x-b3-parentspanid", b"00000000000000b2")]


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        (b"00000000000000c3-00000000000000a1", TraceId(0xA1, 0, 0xC3)),
        (b"00000000000000c3-00000000000000a1-1", TraceId(0xA1, 0, 0xC3, 6)),
        (b"00000000000000c3-00000000000000a1-0", TraceId(0xA1, 0, 0xC3, 2)),
        (b"00000000000000c3-00000000000000a1-d-00000000000000b2", TraceId(0xA1, 0xB2, 0xC3, 7)),
        (b"0", None),
        (b"xyz", None),
        (b"0000000000000000-00000000000000a1", None),
    ],
)
def test_the_single_field_of_b3_is_read(value: bytes, trace: TraceId | None) -> None:
    assert B3().read(of((b"b3", value))) == trace


@pytest.mark.parametrize(
    "fields",
    [
        [],
        B3_SHORT[:1],
        B3_SHORT[1:],
        [(b"x-b3-traceid", b"c3"), B3_SHORT[1]],
        [B3_SHORT[0], (b"x-b3-spanid", b"0" * 16)],
        [(b"x-b3-traceid", b"0x000000000000c3"), B3_SHORT[1]],
    ],
)
def test_b3_that_is_not_whole_is_as_if_absent(fields: list[tuple[bytes, bytes]]) -> None:
    assert B3().read(of(*fields)) is None


def test_traceparent_is_read_and_written_with_its_state() -> None:
    headers = of((b"traceparent", PARENT), (b"tracestate", b"vendor=x"))
    found = W3c().read(headers)
    assert found == TraceId(0xA1, 0, 0xC3, 6, 0xD4)
    W3c().write(headers, found.child(7))
    assert headers.get(b"traceparent") == PARENT.replace(b"a1", b"07")
    assert headers.get(b"tracestate") == b"vendor=x"


def test_state_without_a_parent_is_dropped() -> None:
    headers = of((b"traceparent", b"nonsense"), (b"tracestate", b"vendor=x"))
    W3c().write(headers, SHORT)
    assert headers.names == [b"traceparent"]
    assert headers.get(b"traceparent") == b"00-" + b"0" * 30 + b"c3-00000000000000a1-00"


@pytest.mark.parametrize(
    "value",
    [
        PARENT + b"-more",
        PARENT[:-1],
        PARENT.upper(),
        b"ff" + PARENT[2:],
        PARENT.replace(b"a1", b"00"),
        b"00-" + b"0" * 32 + PARENT[35:],
    ],
)
def test_a_traceparent_against_its_rules_is_as_if_absent(value: bytes) -> None:
    assert W3c().read(of((b"traceparent", value))) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert W3c().read(of((b"traceparent", b"01" + PARENT[2:] + b"-more"))) is not None


def test_two_parents_are_none() -> None:
    assert W3c().read(of((b"traceparent", PARENT), (b"traceparent", PARENT))) is None


def test_of_several_the_first_that_tells_is_believed_and_all_are_written() -> None:
    several = Several([L5d(), B3(), W3c()])
    headers = of((b"l5d-ctx-trace", b"nonsense"), *B3_SHORT, (b"traceparent", PARENT))
    assert several.read(headers) == TraceId(0xA1, 0, 0xC3)
    several.write(headers, LONG)
    assert several.fields >= set(headers.names)
    found = [one.read(headers) for one in (L5d(), B3(), W3c())]
    assert [one and (one.span, one.trace, one.high) for one in found] == [(0xA1, 0xC3, 0xD4)] * 3
