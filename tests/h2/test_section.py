"""What a block says is its shape with its values in the holes."""

from meshproxy.h2.section import FieldSection, Shape

SHAPE = Shape(((b"a", b""), (b"b", b"2"), (b"c", b"")), (0, 2), frozenset({b"c"}))


def test_values_come_into_the_holes() -> None:
    section = FieldSection(SHAPE, [b"1", b"3"])
    assert section.fields == ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    assert section.never_indexed == {b"c"}
    assert FieldSection(SHAPE, [b"x", b"y"]).fields[1:] == ((b"b", b"2"), (b"c", b"y"))


def test_the_size_is_that_of_names_and_of_values_that_are_not_new() -> None:
    assert SHAPE.size == 3 * 32 + 3 + 1
