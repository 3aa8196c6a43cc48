"""Runs of indexed fields, literals with what is known of their name, and what is refused."""

import pytest

from meshproxy.h2.errors import H2ConnectionError
from meshproxy.h2.representations import Representation, read


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"", []),
        (b"\x82\x86\xff\x80\x01\xbe", [(0x82, 0, b"\x82\x86\xff\x80\x01\xbe", b"")]),
        (b"\xff\x00", [(0xFF, 0, b"\xff\x00", b"")]),
        (
            b"\x82\x04\x01/\x84",
            [(0x82, 0, b"\x82", b""), (4, 4, b"", b"/"), (0x84, 0, b"\x84", b"")],
        ),
        (b"\x40\x01x\x00", [(0x40, 0, b"x", b"")]),
        (b"\x7f\x01\x01y", [(0x7F, 64, b"", b"y")]),
        (b"\x10\x81\x1f\x81\x1f", [(0x10, 0, b"a", None)]),
    ],
)
def test_a_block_is_taken_apart(block: bytes, found: list[Representation]) -> None:
    coded = [b"\x1f" for each in found if each[3] is None]
    assert read(block, 0, 9) == (found, coded, any(each[0] < 0x80 for each in found))


def test_no_more_is_read_than_one_beyond_the_limit() -> None:
    assert len(read(b"\x04\x00" * 5000, 0, 10)[0]) == 11


@pytest.mark.parametrize("block", [b"\x82\xff", b"\xff\x80", b"\x00\x05x", b"\x04\x02x", b"\x04"])
def test_a_block_that_ends_within_a_field_is_an_error(block: bytes) -> None:
    with pytest.raises(IndexError):
        read(block, 0, 9)


@pytest.mark.parametrize(
    ("block", "why"), [(b"\xff\xff\xff\xff\xff\x01", "integer"), (b"\x82\x20", "size update")]
)
def test_what_is_wrong_is_refused(block: bytes, why: str) -> None:
    with pytest.raises(H2ConnectionError, match=why):
        read(block, 0, 9)
