"""Blocks to fields: the examples of RFC 7541, hpack as the oracle, and what is refused."""

import os

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import integers
from meshproxy.h2.decoder import _MOST_KEPT, Decoder
from meshproxy.h2.errors import ErrorCode, H2ConnectionError

NAMES = st.sampled_from([b":path", b"accept", b"cookie", b"x-a", b"x-b", b"x-longer-name"])
VALUES = st.sampled_from([b"", b"/", b"gzip, deflate", b"y" * 90]) | st.binary(max_size=12)
SECTIONS = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=8)


def decoder(**limits: int) -> Decoder:
    return Decoder(**{"section_bytes": 1 << 16, "max_fields": 1000} | limits)


C_3 = [
    ("828684410f7777772e6578616d706c652e636f6d", b":authority www.example.com"),
    ("828684be58086e6f2d6361636865", b"cache-control no-cache"),
    ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", b"custom-key custom-value"),
]
C_4 = [
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", b":authority www.example.com"),
    ("828684be5886a8eb10649cbf", b"cache-control no-cache"),
    ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", b"custom-key custom-value"),
]


@pytest.mark.parametrize("blocks", [C_3, C_4], ids=["plain", "Huffman"])
def test_the_requests_of_the_rfc(blocks: list[tuple[str, bytes]]) -> None:
    ours = decoder()
    for block, last in blocks:
        section = ours.decode(bytes.fromhex(block))
        assert b" ".join(section.fields[-1]) == last
        assert section.fields[0] == (b":method", b"GET")


@given(st.lists(st.tuples(SECTIONS, st.booleans(), st.sampled_from([None, 0, 64, 200, 4096]))))
def test_what_hpack_encodes_is_read_block_after_block(blocks: list) -> None:  # type: ignore[type-arg]
    theirs, ours = hpack.Encoder(), decoder()
    for fields, is_huffman, size in blocks:
        if size is not None:
            theirs.header_table_size = size
        block = theirs.encode(
            [(hpack.NeverIndexedHeaderTuple if secret else hpack.HeaderTuple)(name, value)
             for name, value, secret in fields], huffman=is_huffman,
        )  # fmt: skip
        section = ours.decode(block)
        assert section.fields == tuple((name, value) for name, value, _ in fields)
        literal = {name for name, _, secret in fields if secret}
        assert section.never_indexed <= literal


def test_a_block_that_recurs_is_remembered_until_the_table_changes() -> None:
    ours = decoder()
    insert, refer = b"\x40\x01x\x01y", b"\xbe"
    ours.decode(insert)
    first = ours.decode(refer)
    assert ours.decode(refer) is first
    ours.decode(b"\x40\x01x\x01z")
    assert ours.decode(refer).fields == ((b"x", b"z"),)


def test_a_run_of_indexes_means_what_the_table_has_now() -> None:
    ours = decoder()
    ours.decode(b"\x40\x01x\x01y")
    for number in range(4):
        value = b"%d" % number
        block = b"\xbe\x82\x40\x01x\x01" + value + b"\xbe\x82"
        fields = ours.decode(block).fields
        assert fields[0] == (b"x", b"%d" % (number - 1) if number else b"y")
        assert fields[2:] == ((b"x", value), (b"x", value), (b":method", b"GET"))
    ours.decode(b"\x20\x3f\xe1\x1f")  # to no table, and back
    with pytest.raises(H2ConnectionError, match="no entry 62"):
        ours.decode(b"\xbe\x82")


def test_many_indexes_are_a_bomb_too() -> None:
    for block in (b"\x82" * 30_000, b"\x82\x04\x00" * 10_000):
        with pytest.raises(H2ConnectionError) as raised:
            decoder(section_bytes=8192).decode(block)
        assert raised.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_a_block_with_literals_is_remembered_when_it_comes_again() -> None:
    ours = decoder()
    block = b"\x00\x01x\x10" + os.urandom(16)
    first, second = ours.decode(block), ours.decode(block)
    assert first is not second
    assert ours.decode(block) is second
    other = decoder()
    assert other.decode(block) is other.decode(block), "it has come before, on any connection"


def test_hundreds_of_blocks_are_remembered() -> None:
    ours = decoder()
    blocks = [b"\x00\x01x\x04%04d" % number for number in range(380)]
    for _ in range(2):
        kept = [ours.decode(block) for block in blocks]
    assert [ours.decode(block) for block in blocks] == kept


def test_the_size_that_is_remembered_counts_what_is_there_alone() -> None:
    ours = decoder()
    for number in range(1000):
        for _ in range(2):
            ours.decode(b"\x00\x01x\x04%04d" % number)
        ours.decode(b"\x40\x01n\x01y")
    block = b"\x00\x01x\x02ab"
    ours.decode(block)
    known = ours.decode(block)
    for number in range(300):
        for _ in range(2):
            ours.decode(b"\x00\x01x\x04%04d" % number)
    assert ours.decode(block) is known


def test_blocks_that_differ_in_values_have_one_shape_until_the_table_changes() -> None:
    ours = decoder()
    ours.decode(b"\x40\x01n\x01y")
    one, two = (ours.decode(b"\xbe\x0f\x2f\x01" + value + b"\x82") for value in (b"a", b"b"))
    assert one.shape is two.shape
    assert two.fields == ((b"n", b"y"), (b"n", b"b"), (b":method", b"GET"))
    other = ours.decode(b"\x00\x01x\x01a")
    assert other.fields == ((b"x", b"a"),)
    assert ours.decode(b"\xbe\x0f\x2f\x01c\x82").shape is one.shape
    ours.decode(b"\x40\x01m\x01z")
    assert ours.decode(b"\xbe\x0f\x2f\x01d\x82").fields[:2] == ((b"m", b"z"), (b"m", b"d"))


def test_shapes_are_bounded_in_number_and_size() -> None:
    ours = decoder()
    for number in range(1000):
        ours.decode(b"\x00\x04%04d\x01y" % number)
        assert len(ours._shapes) <= 64
    ours = decoder()
    ours.decode(b"\x00" + integers.encode(600, 7) + b"n" * 600 + b"\x01y")
    assert len(ours._shapes) == 0


def test_new_values_of_a_known_shape_keep_to_the_limits() -> None:
    ours = decoder(section_bytes=80)
    head = b"\x00\x01x"
    assert ours.decode(head + b"\x01y").fields == ((b"x", b"y"),)
    assert ours.decode(head + b"\x46" + b"y" * 70).is_too_large
    assert ours.decode(head + b"\x01z").fields == ((b"x", b"z"),)
    with pytest.raises(H2ConnectionError, match="over 4 times"):
        ours.decode(head + integers.encode(400, 7) + b"y" * 400)


def test_a_size_update_is_due_even_of_a_known_shape() -> None:
    ours = decoder()
    for _ in range(2):
        ours.decode(b"\x00\x01x\x01y")
    ours.allow(100)
    with pytest.raises(H2ConnectionError, match="update that is due"):
        ours.decode(b"\x00\x01x\x01z")


def test_many_new_blocks_do_not_push_out_those_that_recur() -> None:
    ours = decoder()
    known = ours.decode(b"\x82")
    for _ in range(2000):
        ours.decode(b"\x00\x01x\x08" + os.urandom(8))
    assert ours.decode(b"\x82") is known


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("80", "no entry 0"),
        ("be", "no entry 62"),
        ("ffffffffff7f", "integer"),
        ("00017803", "ends within a field"),
        ("0001", "ends within a field"),
        ("ff", "ends within a field"),
        ("000178811f", None),
        ("00017881ff", "Huffman"),
        ("3fe21f", "SETTINGS_HEADER_TABLE_SIZE"),
        ("8220", "after the first field"),
        ("7e0178", "no entry 62"),
    ],
)
def test_a_block_that_is_wrong_is_refused(block: str, why: str | None) -> None:
    if why is None:
        assert decoder().decode(bytes.fromhex(block)).fields == ((b"x", b"a"),)
        return
    with pytest.raises(H2ConnectionError, match=why) as raised:
        decoder().decode(bytes.fromhex(block))
    assert raised.value.code is ErrorCode.COMPRESSION_ERROR


def test_never_indexed_fields_are_told() -> None:
    section = decoder().decode(b"\x10\x01x\x01y\x00\x01z\x01y")
    assert section.never_indexed == {b"x"}


def test_the_table_is_emptied_by_a_field_larger_than_it() -> None:
    ours = decoder()
    ours.decode(b"\x40\x01x\x01y")
    ours.decode(b"\x40\x01x" + integers.encode(5000, 7) + b"y" * 5000)
    with pytest.raises(H2ConnectionError, match="no entry 62"):
        ours.decode(b"\xbe")


def test_entries_are_evicted_from_the_oldest_on() -> None:
    ours = decoder()
    ours.decode(b"\x3f\x33" + b"\x40\x01x\x01a\x40\x01x\x01b\x40\x01x\x01c")  # 82 bytes: two of 34
    assert ours.decode(b"\xbe\xbf").fields == ((b"x", b"c"), (b"x", b"b"))
    with pytest.raises(H2ConnectionError, match="no entry 64"):
        ours.decode(b"\xc0")


def test_a_larger_table_needs_leave_and_a_smaller_one_is_due_at_once() -> None:
    ours = decoder()
    update = integers.encode(8192, 5, 0x20)
    with pytest.raises(H2ConnectionError):
        ours.decode(update)
    ours = decoder()
    ours.allow(8192)
    ours.decode(update)
    ours.allow(100)
    with pytest.raises(H2ConnectionError, match="update that is due"):
        ours.decode(b"\x82")
    assert ours.decode(integers.encode(100, 5, 0x20) + b"\x82").fields == ((b":method", b"GET"),)


def test_a_section_over_the_limits_is_empty_and_the_table_stays_right() -> None:
    ours = decoder(section_bytes=80)
    section = ours.decode(b"\x40\x01x\x01y\x40\x01x\x01z\x40\x01x\x01w")
    assert (section.is_too_large, section.fields) == (True, ())
    assert ours.decode(b"\xbe").fields == ((b"x", b"w"),)
    few = decoder(max_fields=2)
    assert [few.decode(b"\x82" * count).is_too_large for count in (2, 3)] == [False, True]


def test_a_bomb_is_given_up_before_it_has_gone_off() -> None:
    ours = decoder(section_bytes=8192)
    bomb = b"\x40\x01x" + integers.encode(4000, 7) + b"y" * 4000 + b"\xbe" * 12000
    with pytest.raises(H2ConnectionError) as raised:
        ours.decode(bomb)
    assert raised.value.code is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "block",
    [
        b"\x00\x01x" + integers.encode(600, 7) + b"y" * 600,
        b"\xbe" * 10,
    ],
    ids=["large", "large when read"],
)
def test_what_is_large_is_not_remembered(block: bytes) -> None:
    ours = decoder()
    ours.decode(b"\x40\x01x" + integers.encode(300, 7) + b"y" * 300)
    for _ in range(3):
        ours.decode(block)
    assert len(ours.known) == 0


def test_what_is_remembered_of_large_sections_has_a_limit_together() -> None:
    ours = decoder()
    ours.decode(b"".join(b"\x40\x01%c\x28" % (97 + n) + b"v" * 40 for n in range(20)))
    most = 0
    for n in range(600):
        used = [62 + (n >> bit & 1) + 2 * bit for bit in range(10)] * 2
        ours.decode(bytes(0x80 | index for index in used))
        sections = sum(section.size + len(block) for block, section in ours.known.items())
        assert sections <= _MOST_KEPT
        most = max(most, sections)
    assert most > _MOST_KEPT // 2
    assert len(ours.known) > 1


def test_what_is_remembered_of_large_shapes_counts_too() -> None:
    ours = decoder()
    ours.decode(b"".join(b"\x40\x01%c\x28" % (97 + n) + b"v" * 40 for n in range(20)))
    for n in range(600):
        used = [62 + (n >> bit & 1) + 2 * bit for bit in range(10)] * 2
        ours.decode(bytes(0x80 | index for index in used) + b"\x00\x01x\x01y")
        shapes = sum(shape.size + len(block) for block, shape in ours._shapes.items())
        assert shapes <= _MOST_KEPT
    assert len(ours._shapes) > 1
