"""Deadlines as text, and what several of them amount to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.deadline import Deadline, shortened

LONGS = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"1000 2000", (1000, 2000)),
        (b"2000 1000", (2000, 1000)),
        (b"-1 +5", (-1, 5)),
        (b"007 08", (7, 8)),
        (b"1 2 three 4", (1, 2)),
        (b"1 2 ", (1, 2)),
        (b"9223372036854775807 -9223372036854775808", (2**63 - 1, -(2**63))),
    ],
)
def test_two_whole_numbers_are_a_deadline(value: bytes, read: tuple[int, int]) -> None:
    assert Deadline.decode(value) == read


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        b"1  2",
        b"1\t2",
        b"1,2",
        b"a 2",
        b"1 b",
        b"1.5 2",
        b"1 2.5",
        b"1_0 20",
        b"0x1 2",
        b"1 2three",
        "\N{ARABIC-INDIC DIGIT ONE} 2".encode(),
        b"9223372036854775808 1",
        b"1 -9223372036854775809",
        b"1 " + b"9" * 4000,
    ],
)
def test_anything_else_is_none(value: bytes) -> None:
    assert Deadline.decode(value) is None


@given(LONGS, LONGS)
def test_what_is_written_can_be_read(timestamp_ns: int, deadline_ns: int) -> None:
    deadline = Deadline(timestamp_ns, deadline_ns)
    assert Deadline.decode(deadline.encode()) == deadline


def test_the_later_agreement_on_the_earlier_moment_counts() -> None:
    first, second = Deadline(1000, 9000), Deadline(2000, 8000)
    assert first.combined(second) == second.combined(first) == (2000, 8000)
    assert Deadline(1000, 8000).combined(Deadline(2000, 9000)) == (2000, 8000)
    assert first.combined(None) == first


def test_a_timeout_shortens_what_is_known() -> None:
    assert shortened(None, 5_000, 5_700) == (5_000, 5_700)
    assert shortened(Deadline(4_000, 5_600), 5_000, 5_700) == (5_000, 5_600)
