"""Loads: exact Peak EWMA, and where it differs from Finagle on purpose."""

import math
from functools import partial

import pytest

from meshproxy.ewma import PENALTY, LeastLoaded, PeakEwma
from tests.kit.clock import FakeClock

approx = partial(pytest.approx, rel=1e-9)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0)


@pytest.fixture
def ewma(clock: FakeClock) -> PeakEwma:
    return PeakEwma(decay_ms=1000, now=clock)


def exchange(ewma: PeakEwma, clock: FakeClock, rtt_ns: int, *, failed: bool = False) -> None:
    started = clock()
    ewma.begin()
    clock.advance(rtt_ns / 1e9)
    ewma.head(started, clock(), failed)
    ewma.finish()


def test_a_new_node_is_free_until_its_first_request_is_out(ewma: PeakEwma) -> None:
    assert ewma.value() == 0.0
    ewma.begin()
    ewma.begin()
    assert ewma.value() == PENALTY + 2


def test_the_round_trip_ends_at_the_head_and_the_request_at_the_end_of_its_body(
    ewma: PeakEwma, clock: FakeClock
) -> None:
    started = clock()
    ewma.begin()
    clock.advance(5e-6)
    ewma.head(started, clock())
    assert (ewma.cost, ewma.pending, ewma.value()) == approx((5_000, 1, 10_000))
    ewma.finish()
    assert (ewma.pending, ewma.value()) == approx((0, 5_000))


def test_a_peak_replaces_the_cost_at_once_and_a_fast_answer_lowers_it_slowly(
    ewma: PeakEwma, clock: FakeClock
) -> None:
    exchange(ewma, clock, 1_000_000)
    exchange(ewma, clock, 400_000_000)
    assert ewma.cost == approx(400_000_000)
    exchange(ewma, clock, 10_000_000)
    weight = math.exp(-0.01)
    assert ewma.cost == approx(400_000_000 * weight + 10_000_000 * (1 - weight))


def test_the_cost_decays_while_nobody_calls(ewma: PeakEwma, clock: FakeClock) -> None:
    exchange(ewma, clock, 1_000_000)
    clock.advance(1)
    assert ewma.value() == approx(1_000_000 / math.e)


def test_reading_a_load_moves_its_stamp(ewma: PeakEwma, clock: FakeClock) -> None:
    looked_at, left_alone = PeakEwma(1000, clock), ewma
    for node in (looked_at, left_alone):
        node.cost = 1e9
    clock.advance(1)
    looked_at.value()
    for node in (looked_at, left_alone):
        node.head(clock(), clock())
    assert looked_at.cost == left_alone.cost
    clock.advance(1)
    looked_at.value()
    for node in (looked_at, left_alone):
        node.head(clock() - 1e-6, clock())
    assert looked_at.cost != left_alone.cost


def test_a_fast_failure_does_not_make_a_node_cheaper(ewma: PeakEwma, clock: FakeClock) -> None:
    exchange(ewma, clock, 50_000_000)
    exchange(ewma, clock, 1_000, failed=True)
    assert ewma.cost == approx(50_000_000)


def test_a_slow_failure_counts_as_a_peak(ewma: PeakEwma, clock: FakeClock) -> None:
    exchange(ewma, clock, 50_000_000)
    exchange(ewma, clock, 900_000_000, failed=True)
    assert ewma.cost == approx(900_000_000)


def test_a_clock_that_goes_back_is_harmless(ewma: PeakEwma, clock: FakeClock) -> None:
    exchange(ewma, clock, 500)
    started = clock()
    ewma.begin()
    clock.advance(-1)
    assert ewma.value() == approx(1_000)
    ewma.head(started, clock())
    assert ewma.cost == approx(500)


def test_least_loaded_counts_requests_in_flight() -> None:
    load = LeastLoaded()
    load.begin()
    load.begin()
    load.head(0.0, 1.0, failed=True)
    assert (load.pending, load.value()) == (2, 2)
    load.finish()
    assert load.value() == 1
