"""The integers of HPACK, RFC 7541 section 5.1 and appendix C.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import integers
from meshproxy.h2.errors import H2ConnectionError


@pytest.mark.parametrize(
    ("value", "bits", "raw"), [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00")]
)
def test_the_examples_of_the_rfc(value: int, bits: int, raw: str) -> None:
    assert integers.encode(value, bits).hex() == raw


@given(st.integers(0, 1 << 20), st.integers(4, 7), st.sampled_from([0, 0x80]))
def test_what_is_encoded_reads_the_same(value: int, bits: int, pattern: int) -> None:
    raw = integers.encode(value, bits, pattern)
    mask = (1 << bits) - 1
    assert raw[0] & ~mask == pattern
    first = raw[0] & mask
    got = (first, 1) if first < mask else integers.rest(raw, 1, mask)
    assert got == (value, len(raw))


def test_a_long_integer_and_a_cut_one_are_refused() -> None:
    with pytest.raises(H2ConnectionError, match="integer"):
        integers.rest(b"\xff\xff\xff\xff\x01", 0, 31)
    assert integers.rest(b"\xff\xff\xff\x01", 0, 31)[1] == 4
    with pytest.raises(IndexError):
        integers.rest(b"\xff", 0, 31)
