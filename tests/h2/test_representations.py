"""Blocks cut into values and what is before them, and what is refused."""

import pytest

from meshproxy.h2.errors import H2ConnectionError
from meshproxy.h2.integers import encode
from meshproxy.h2.representations import cut, cut_alike, literal

LONG = b"y" * 300


@pytest.mark.parametrize(
    ("block", "heads", "values"),
    [
        (b"", [b""], []),
        (b"\x82\x86\xff\x80\x01\xbe", [b"\x82\x86\xff\x80\x01\xbe"], []),
        (b"\xff\x00", [b"\xff\x00"], []),
        (b"\x82\x04\x01/\x84", [b"\x82\x04", b"\x84"], [b"/"]),
        (b"\x40\x01x\x00", [b"\x40\x01x", b""], [b""]),
        (b"\x7f\x01\x01y", [b"\x7f\x01", b""], [b"y"]),
        (b"\x10\x81\x1f\x81\x1f", [b"\x10\x81\x1f", b""], [b"a"]),
        (b"\x04\x81\x1f\x04\x01/\x04\x81\x1f", [b"\4", b"\4", b"\4", b""], [b"a", b"/", b"a"]),
        (b"\x04" + encode(300, 7) + LONG + b"\x82", [b"\4", b"\x82"], [LONG]),
    ],
)
def test_a_block_is_cut(block: bytes, heads: list[bytes], values: list[bytes]) -> None:
    assert cut(block, 0, 9) == (heads, values)
    measured = [(head, len(head)) for head in heads[:-1]]
    alike = cut_alike(block, measured, heads[-1])
    assert alike is not None
    assert alike[0] == values
    assert cut_alike(block, measured, heads[-1] + b"\x82") is None
    assert cut_alike(b"\x85" + block, [(b"\x83" + block[:1], 2)], b"") is None


@pytest.mark.parametrize(
    "block", [b"\x04", b"\x04\x02x", b"\x04\x01xy", b"\x04\x7f", b"\x04\xff\x80"]
)
def test_a_block_of_another_shape_is_not_cut_alike(block: bytes) -> None:
    assert cut_alike(block, [(b"\x04", 1)], b"") is None


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x04", (4, b"")),
        (b"\x82\x44", (4, b"")),
        (b"\x0f\x01", (16, b"")),
        (b"\x7f\x01", (64, b"")),
        (b"\x10\x01x", (0, b"x")),
        (b"\x00\x81\x1f", (0, b"a")),
        (b"\x00" + encode(300, 7) + LONG, (0, LONG)),
    ],
)
def test_the_name_of_a_literal(head: bytes, name: tuple[int, bytes]) -> None:
    assert literal(head, head[0] >> 7) == name


def test_no_more_is_read_than_one_beyond_the_limit() -> None:
    assert len(cut(b"\x04\x00" * 5000, 0, 10)[1]) == 11


@pytest.mark.parametrize("block", [b"\x82\xff", b"\xff\x80", b"\x00\x05x", b"\x04\x02x", b"\x04"])
def test_a_block_that_ends_within_a_field_is_an_error(block: bytes) -> None:
    with pytest.raises(IndexError):
        cut(block, 0, 9)


@pytest.mark.parametrize(
    ("block", "why"), [(b"\xff\xff\xff\xff\xff\x01", "integer"), (b"\x82\x20", "size update")]
)
def test_what_is_wrong_is_refused(block: bytes, why: str) -> None:
    with pytest.raises(H2ConnectionError, match=why):
        cut(block, 0, 9)
