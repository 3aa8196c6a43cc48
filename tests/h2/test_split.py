"""Sections are split into pseudo-fields and others, and those that break a rule are refused."""

import pytest

from meshproxy.h2.section import FieldSection, Shape
from meshproxy.h2.split import MalformedSection, split
from meshproxy.h2.static_table import Field

ALLOWED = frozenset((b":a", b":b"))


def taken_apart(*fields: Field) -> tuple[dict[bytes, bytes], list[bytes], list[bytes]]:
    return split(FieldSection(Shape(fields), []), ALLOWED)


def test_pseudo_fields_come_first_and_the_others_keep_their_order() -> None:
    assert taken_apart((b":b", b"1"), (b"x", b"2"), (b"te", b"trailers"), (b"x", b"")) == (
        {b":b": b"1"}, [b"x", b"te", b"x"], [b"2", b"trailers", b""],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([(b":c", b"1")], "unknown"),
        ([(b":a", b"1"), (b":a", b"1")], "twice"),
        ([(b"x", b"1"), (b":a", b"1")], "after a field"),
        ([(b"X", b"1")], "lower case"),
        ([(b"", b"1")], "field name"),
        ([(b"x y", b"1")], "field name"),
        ([(b"upgrade", b"h2c")], "of the connection"),
        ([(b"te", b"gzip")], "of the connection"),
        ([(b"x", b"a\nb")], "control character"),
        ([(b"x", b"a ")], "white space around the value of `x`"),
        ([(b"x", b"\ta")], "white space"),
    ],
)
def test_what_breaks_a_rule_is_refused(fields: list[Field], why: str) -> None:
    for _ in range(2):
        with pytest.raises(MalformedSection, match=why):
            taken_apart(*fields)
