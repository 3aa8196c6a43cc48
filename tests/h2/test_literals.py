"""Literals, and what is around their values."""

import hpack
import pytest

from meshproxy.h2.literals import (
    INSERTED,
    NEVER_INDEXED,
    Outline,
    head_of,
    length_around,
    length_of,
    literal,
)


@pytest.mark.parametrize("pattern", [0, NEVER_INDEXED, INSERTED])
@pytest.mark.parametrize("name", [b"x-a", b"cookie", b"x" * 200])
@pytest.mark.parametrize("value", [b"", b"v", b"v" * 127, b"v" * 5000])
def test_a_literal_is_read_by_hpack(name: bytes, value: bytes, pattern: int) -> None:
    decoder = hpack.Decoder()
    found = decoder.decode(literal(name, value, pattern), raw=True)
    assert found == [(name, value)]
    assert found[0].indexable == (pattern != NEVER_INDEXED)
    assert len(decoder.header_table.dynamic_entries) == (pattern == INSERTED and len(value) < 4000)


def test_the_length_of_a_long_value_takes_more_bytes() -> None:
    assert [length_of(126), length_of(127), length_of(255)] == [b"\x7e", b"\x7f\0", b"\x7f\x80\1"]


def test_an_outline_picks_what_has_values_of_its_own() -> None:
    names = (b":method", b":path", b"x-a", b"x-new", b"cookie", b"x-b")
    outline = Outline(names, {b"x-new"})
    fields = (
        (b":method", b"GET"), (b":path", b"/"), b"x-a: b", b"x-new: c", b"cookie: d", b"x-b: e",
    )  # fmt: skip
    assert outline.constant(fields) == (fields[0], fields[2], fields[5])
    skeleton = outline.skeleton([b"M", b"A", b"B"])
    assert skeleton == (
        (
            (b"M" + head_of(b":path", 0), 1, 0),
            (b"A" + head_of(b"x-new", 0), 3, 6),
            (head_of(b"cookie", 0x10), 4, 7),
        ),
        b"B",
    )
    assert length_around(skeleton) == len(b"M\4A\0\5x-new\x1f\x11B")
    assert outline.is_believed
    assert not Outline(names, ()).is_believed


@pytest.mark.parametrize(
    ("names", "new"), [((b"x-a",), 0), ((b"date",), 1), ((), 0), ((b"x-a", b"date"), 1)]
)
def test_an_outline_of_few_fields(names: tuple[bytes, ...], new: int) -> None:
    fields = tuple(name + b": v" for name in names)
    outline = Outline(names, ())
    constant = outline.constant(fields)
    assert constant == fields[: len(fields) - new]
    heads, last = outline.skeleton([b"c"] * len(constant))
    assert [at for _, at, _ in heads] == [*range(len(fields))][len(fields) - new :]
    assert last == (b"" if new else b"c" * len(constant))
