from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.metrics.histogram import MAX_VALUE, Histogram, Summary, bucket

values = st.lists(st.integers(0, MAX_VALUE), max_size=50)


@given(st.integers(0, MAX_VALUE))
def test_a_bucket_stands_for_its_values_within_half_a_percent(value: int) -> None:
    assert abs(bucket(value) - value) <= 0.005 * value


def test_small_integers_are_exact() -> None:
    assert [bucket(n) for n in range(200)] == list(range(200))


def test_values_outside_the_range_are_clamped() -> None:
    histogram = Histogram().record([-5, 10**12])
    assert histogram.counts == {0: 1, MAX_VALUE: 1}
    assert histogram.sum == MAX_VALUE


def test_buckets_are_bounded() -> None:
    assert len({bucket(n) for n in range(0, 2**31, 9973)}) < 2000


@given(values, st.lists(st.integers(0, 200), unique=True))
def test_small_values_are_counted_up_to_limits(recorded: list[int], limits: list[int]) -> None:
    limits.sort()
    counted = [sum(value <= limit for value in recorded) for limit in limits]
    assert Histogram().record(recorded).at_most(limits) == counted


def test_an_empty_histogram_sums_up_to_nothing() -> None:
    assert Histogram().summary() == Summary()


@given(
    st.lists(st.floats(-3, 3) | st.integers(-3, 3) | st.floats(2**31 - 3, 2**31 + 3), min_size=1),
    st.integers(1, 60),
)
def test_values_count_alike_however_many_are_close_together(
    recorded: list[float], times: int
) -> None:
    alone: Counter[int] = Counter()
    for value in recorded:
        alone.update(Histogram().record([value]).counts)
    counted = Histogram().record(recorded * times)
    assert counted.counts == {value: times * count for value, count in alone.items()}
    assert (counted.count, counted.sum) == (
        times * len(recorded),
        times * sum(Histogram().record([value]).sum for value in recorded),
    )


def test_fractions_are_cut_off() -> None:
    assert Histogram().record([12.9]).summary().max == 12
    assert Histogram().record([1, 2.9, 2]) == Histogram().record([1, 2, 2])


def test_two_values_give_the_lower_median_and_the_upper_tail() -> None:
    assert Histogram().record([10, 20]).summary() == Summary(
        count=2,
        min=10,
        max=20,
        sum=30,
        avg=15.0,
        p50=10,
        p90=20,
        p95=20,
        p99=20,
        p9990=20,
        p9999=20,
    )


def test_percentiles_of_a_thousand_values() -> None:
    got = Histogram().record(range(1, 101)).summary()
    assert (got.p50, got.p90, got.p95, got.p99, got.p9990) == (50, 90, 95, 99, 100)


@given(values, values)
def test_adding_histograms_is_recording_both(one: list[int], two: list[int]) -> None:
    assert Histogram().record(one) + Histogram().record(two) == Histogram().record(one + two)


@given(values, values)
def test_the_difference_is_what_came_between(one: list[int], two: list[int]) -> None:
    earlier = Histogram().record(one)
    assert earlier.record(two) - earlier == Histogram().record(two)


@given(values.filter(bool))
def test_percentiles_are_ordered_and_within_the_extremes(given_values: list[int]) -> None:
    got = Histogram().record(given_values).summary()
    marks = [got.min, got.p50, got.p90, got.p95, got.p99, got.p9990, got.p9999, got.max]
    assert marks == sorted(marks)
