"""When failures are too many, by rate."""

import pytest

from meshproxy.accrual.breaker import FailureAccrual
from meshproxy.accrual.policies import (
    NeverDead,
    SuccessRate,
    SuccessRateConfig,
    SuccessRateWindowed,
    SuccessRateWindowedConfig,
)
from meshproxy.backoff import constant
from meshproxy.config.backoff import ConstantConfig
from meshproxy.metrics.tree import Tree
from tests.kit.clock import FakeClock

WAIT = constant(5)


def test_a_rate_means_nothing_before_enough_requests() -> None:
    policy = SuccessRate(0.9, 3, WAIT)
    assert [policy.mark_dead_on_failure() for _ in range(3)] == [None, None, 5]


def test_a_mostly_good_endpoint_survives_a_failure() -> None:
    policy = SuccessRate(0.8, 10, WAIT)
    for _ in range(20):
        policy.record_success()
    assert [policy.mark_dead_on_failure() for _ in range(3)] == [None, None, 5]
    assert policy.success_rate == pytest.approx(0.7408, abs=1e-4)


def test_a_revived_endpoint_starts_anew() -> None:
    policy = SuccessRate(0.9, 2, WAIT)
    assert [policy.mark_dead_on_failure() for _ in range(2)] == [None, 5]
    policy.revived()
    assert policy.mark_dead_on_failure() is None


def test_a_windowed_rate_needs_the_window_and_five_results() -> None:
    clock = FakeClock(0)
    policy = SuccessRateWindowed(0.8, 10, WAIT, clock)
    clock.advance(9)
    assert [policy.mark_dead_on_failure() for _ in range(6)] == [None] * 6
    clock.advance(1)
    assert policy.mark_dead_on_failure() == 5
    policy.revived()
    clock.advance(30)
    assert [policy.mark_dead_on_failure() for _ in range(5)] == [None] * 4 + [5]


def test_the_configuration_chooses_rate_window_and_backoff() -> None:
    by_count = SuccessRateConfig(success_rate=0.9, requests=1, backoff=ConstantConfig(ms=7000))
    assert by_count.new_policy().mark_dead_on_failure() == 7
    by_time = SuccessRateWindowedConfig(success_rate=0.9, window=1000)
    assert by_time.new_policy().mark_dead_on_failure() is None


def test_the_probe_that_revives_an_endpoint_is_its_first_success() -> None:
    clock = FakeClock(0)
    policy = SuccessRate(0.9, 4, WAIT)
    accrual = FailureAccrual(policy, Tree(), "10.0.0.1:80", clock.ns)
    for _ in range(4):
        accrual.failed()
    clock.advance(5)
    accrual.sent()
    accrual.succeeded()
    assert (accrual.alive, policy.success_rate) == (True, 1.0)
    assert [policy.mark_dead_on_failure() for _ in range(3)] == [None, None, 5]


def test_what_a_policy_marks_dead_for_is_told() -> None:
    clock = FakeClock(0)
    by_count = SuccessRate(0.8, 3, WAIT)
    by_time = SuccessRateWindowed(0.8, 30, WAIT, clock)
    for policy in (by_count, by_time):
        policy.record_success()
        clock.advance(30)
        policy.mark_dead_on_failure()
    assert str(by_count) == "success rate 0.717 below 0.8 over 3 requests"
    assert str(by_time) == "success rate 0.368 below 0.8 over 30 s"
    assert str(NeverDead()) == "never"
