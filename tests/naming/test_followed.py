"""An answer in a line."""

from typing import Any

import pytest

from meshproxy.naming.followed import MAX_ANSWER, brief


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("web", "web"),
        (["a"], "1 entry"),
        ({"a": 1, "b": 2}, "2 entries"),
        ([], "0 entries"),
        (None, "nothing"),
        ("x" * 1000, "x" * MAX_ANSWER),
    ],
)
def test_of_many_members_the_number_is_told(value: Any, expected: str) -> None:
    assert brief(value) == expected
