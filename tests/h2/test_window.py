"""Windows are topped up below their ratio, and nothing is lost or granted twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2.window import ReceiveWindow


def test_a_window_is_taken_to_its_last_byte_and_not_beyond() -> None:
    window = ReceiveWindow(10, 0.5, 10)
    assert window.take(10)
    assert window.take(0)
    assert not window.take(1)


def test_an_empty_frame_is_no_offence_while_a_window_is_negative() -> None:
    window = ReceiveWindow(10, 0.5, -5)
    assert window.take(0)
    assert not window.take(1)


@pytest.mark.parametrize(("ratio", "first"), [(0.99, 1), (0.5, 50), (0.25, 75)])
def test_it_is_topped_up_below_the_ratio(ratio: float, first: int) -> None:
    window = ReceiveWindow(100, ratio, 100)
    window.take(100)
    increments = [window.consume(1) for _ in range(first)]
    assert increments == [0] * (first - 1) + [first]


@given(st.integers(0, 1000), st.floats(0.01, 0.99), st.lists(st.integers(0, 100)))
def test_what_is_granted_is_what_was_consumed(size: int, ratio: float, counts: list[int]) -> None:
    window = ReceiveWindow(size, ratio, size)
    granted = taken = 0
    for count in counts:
        sent = min(count, window.left)
        assert window.take(sent)
        taken += sent
        granted += window.consume(sent)
    assert window.left == size - taken + granted
    assert taken - granted < max(1, size)
