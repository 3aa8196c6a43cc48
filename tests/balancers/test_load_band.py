"""The width for a load: steps, bounds, and what a change of endpoints does to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.load_band import LoadBand
from tests.kit.clock import FakeClock


def band(count: int, minimum: int = 1, clock: FakeClock | None = None) -> LoadBand:
    made = LoadBand(0.5, 2.0, 5.0, minimum, (clock or FakeClock()).ns)
    made.resize(count, 0)
    return made


def test_the_first_change_is_taken_as_it_is() -> None:
    made = band(3)
    assert made.change(1) == 0
    assert (made.total, made.ema, made.width) == (1, 1.0, 1)


def test_a_lasting_load_widens_step_by_step() -> None:
    clock = FakeClock()
    made = band(3, clock=clock)
    steps = []
    for _ in range(9):
        clock.advance(3600)
        steps.append(made.change(1))
    assert steps == [0, 1, 0, 1, 0, 0, 0, 0, 0]
    assert (made.total, made.width) == (9, 3)


def test_a_burst_is_smoothed_away() -> None:
    made = band(9)
    assert [made.change(by) for by in (1, 1, 1, 1, -1, -1, -1, -1)] == [0] * 8
    assert (made.total, made.ema) == (0, 1.0)


def test_it_narrows_down_to_its_minimum() -> None:
    clock = FakeClock()
    made = band(4, minimum=2, clock=clock)
    made.width = 4
    steps = []
    for by in (1, -1, 1, -1):
        clock.advance(60)
        steps.append(made.change(by))
    assert steps == [-1, -1, 0, 0]
    assert made.width == 2


def test_exactly_at_its_lower_edge_it_narrows() -> None:
    clock = FakeClock()
    made = band(4, clock=clock)
    made.width = 2
    assert made.change(1) == -1
    assert made.ema == 1.0


def test_a_clock_that_goes_back_changes_nothing_by_itself() -> None:
    clock = FakeClock()
    made = band(4, clock=clock)
    made.change(1)
    clock.advance(-60)
    made.change(1)
    assert made.ema == 1.0


@pytest.mark.parametrize(
    ("width", "count", "minimum", "after"),
    [(2, 5, 1, 2), (4, 3, 1, 3), (1, 5, 3, 3), (1, 2, 3, 2), (3, 0, 2, 1)],
)
def test_other_endpoints_leave_the_width_within_bounds(
    width: int, count: int, minimum: int, after: int
) -> None:
    made = band(9, minimum)
    made.width = width
    made.resize(count, 7)
    assert (made.width, made.total) == (after, 7)


@given(
    count=st.integers(0, 5),
    minimum=st.integers(1, 4),
    changes=st.lists(st.tuples(st.sampled_from([1, -1]), st.floats(0, 30)), max_size=40),
)
def test_the_width_never_leaves_its_bounds(
    count: int, minimum: int, changes: list[tuple[int, float]]
) -> None:
    clock = FakeClock()
    made = band(count, minimum, clock)
    for by, seconds in changes:
        clock.advance(seconds)
        before = made.width
        step = made.change(by if made.total else 1)
        assert made.width == before + step
        assert max(min(minimum, count), 1) <= made.width <= max(count, 1)
