"""Backoffs: exact sequences, bounds, and refusal of bounds that make no sense."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.backoff import Backoff, constant, decorrelated_jitter, equal_jitter, full_jitter


def first(count: int, backoff: Backoff) -> list[float]:
    return list(islice(backoff(), count))


def test_constant_waits_the_same_for_ever() -> None:
    assert first(3, constant(0.25)) == [0.25, 0.25, 0.25]


def test_decorrelated_starts_at_its_minimum_and_grows_up_to_threefold() -> None:
    draws = iter([0.0, 0.5, 0.999, 0.25])
    assert first(5, decorrelated_jitter(0.01, 10, draws.__next__)) == [
        0.01,
        0.01,
        0.02,
        0.05996,
        0.08994,
    ]


def test_decorrelated_with_equal_bounds_is_constant() -> None:
    assert first(3, decorrelated_jitter(0.25, 0.25)) == [0.25, 0.25, 0.25]


def test_equal_jitter_doubles_and_stays_at_its_maximum() -> None:
    assert first(9, equal_jitter(5, 300, lambda: 0.5)) == [
        5,
        7.5,
        15,
        30,
        60,
        120,
        240,
        300,
        300,
    ]


def test_equal_jitter_reaches_the_maximum_by_chance_and_stays_there() -> None:
    draws = iter([0.0, 0.99])
    assert first(5, equal_jitter(5, 15, draws.__next__)) == [5, 5, 15, 15, 15]


def test_full_jitter_is_anything_up_to_a_doubling_wait() -> None:
    assert first(7, full_jitter(1, 20, lambda: 0.5)) == [1, 1, 2, 4, 8, 10, 10]
    assert first(3, full_jitter(1, 20, lambda: 0.0)) == [1, 0, 0]


def test_each_start_begins_again() -> None:
    backoff = equal_jitter(5, 300)
    assert [next(backoff()), next(backoff())] == [5, 5]


@pytest.mark.parametrize("factory", [decorrelated_jitter, equal_jitter, full_jitter])
@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param((0, 1), id="zero"),
        pytest.param((2, 1), id="crossed"),
        pytest.param((-1, 1), id="negative"),
    ],
)
def test_impossible_bounds_are_refused(factory: type, bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="backoff needs"):
        factory(*bounds)


units = st.floats(0, 1, exclude_max=True)


@given(low=st.floats(0.001, 10), times=st.floats(1, 1000), draws=st.lists(units, min_size=12))
def test_decorrelated_never_shrinks_and_stays_in_bounds(
    low: float, times: float, draws: list[float]
) -> None:
    high = low * times
    waits = first(10, decorrelated_jitter(low, high, iter(draws).__next__))
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(low, abs=1e-9)
    assert waits[-1] <= high + 1e-9
    assert all(b <= 3 * a + 1e-9 for a, b in pairwise(waits))
