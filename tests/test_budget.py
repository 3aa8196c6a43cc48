"""The retry budget: a share of requests above a reserve, forgetting with time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.budget import RetryBudget, WindowedAdder
from tests.kit.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0)


def withdrawn(budget: RetryBudget, times: int) -> int:
    return sum(budget.try_withdraw() for _ in range(times))


def test_the_reserve_alone_allows_ten_a_second_over_the_window(clock: FakeClock) -> None:
    budget = RetryBudget(now=clock)
    assert budget.balance() == 100
    assert withdrawn(budget, 150) == 100
    assert budget.balance() == 0


def test_five_requests_buy_one_retry(clock: FakeClock) -> None:
    budget = RetryBudget(min_retries_per_s=0, now=clock)
    for _ in range(4):
        budget.deposit(clock())
    assert not budget.try_withdraw()
    budget.deposit(clock())
    assert budget.try_withdraw()
    assert not budget.try_withdraw()


def test_without_reserve_and_share_nothing_is_ever_granted(clock: FakeClock) -> None:
    budget = RetryBudget(min_retries_per_s=0, percent_can_retry=0, now=clock)
    for _ in range(5000):
        budget.deposit(clock())
    assert (budget.balance(), withdrawn(budget, 10)) == (0, 0)


def test_a_spent_reserve_comes_back_after_the_window(clock: FakeClock) -> None:
    budget = RetryBudget(ttl_s=10, min_retries_per_s=1, now=clock)
    assert withdrawn(budget, 11) == 10
    clock.advance(9)
    assert withdrawn(budget, 1) == 0
    clock.advance(1)
    assert withdrawn(budget, 1) == 1


def test_a_balance_below_zero_is_truncated_toward_zero(clock: FakeClock) -> None:
    budget = RetryBudget(ttl_s=10, min_retries_per_s=0, percent_can_retry=0.3, now=clock)
    for _ in range(8):
        budget.deposit(clock())
    clock.advance(9)
    assert withdrawn(budget, 3) == 2
    budget.deposit(clock())
    clock.advance(5)
    assert budget.sum() == 1_000 - 2 * 3_333
    assert budget.balance() == -1
    assert budget.requeue_limit() == 0
    assert not budget.try_withdraw()


@pytest.mark.parametrize(
    ("reserve_per_s", "limit"),
    [
        pytest.param(10, 20, id="a fifth"),
        pytest.param(1, 2, id="small"),
        pytest.param(0, 0, id="none"),
    ],
)
def test_one_request_may_requeue_a_fifth_of_the_balance(
    clock: FakeClock, reserve_per_s: int, limit: int
) -> None:
    assert RetryBudget(min_retries_per_s=reserve_per_s, now=clock).requeue_limit() == limit


def test_the_requeue_limit_is_rounded_up(clock: FakeClock) -> None:
    budget = RetryBudget(now=clock)
    withdrawn(budget, 99)
    assert (budget.balance(), budget.requeue_limit()) == (1, 1)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"ttl_s": 0}, id="no window"),
        pytest.param({"ttl_s": 61}, id="window over a minute"),
        pytest.param({"min_retries_per_s": -1}, id="negative reserve"),
        pytest.param({"percent_can_retry": -0.1}, id="negative share"),
        pytest.param({"percent_can_retry": 1001.0}, id="share over a thousand"),
    ],
)
def test_values_out_of_bounds_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetryBudget(**bad)


@given(
    requests=st.integers(0, 300),
    tries=st.integers(0, 300),
    percent=st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]),
    reserve=st.integers(0, 3),
)
def test_retries_never_exceed_reserve_and_share(
    requests: int, tries: int, percent: float, reserve: int
) -> None:
    budget = RetryBudget(10, reserve, percent, now=lambda: 0)
    for _ in range(requests):
        budget.deposit(0.0)
    assert withdrawn(budget, tries) == min(tries, reserve * 10 + int(requests * percent + 1e-9))


def test_slices_turn_when_somebody_looks(clock: FakeClock) -> None:
    adder = WindowedAdder(10, clock)
    adder.add(1)
    clock.advance(1.999)
    adder.add(2)
    clock.advance(0.501)
    assert adder.sum() == 3
    clock.advance(9.499)
    assert adder.sum() == 0


def test_amounts_leave_the_window_slice_by_slice(clock: FakeClock) -> None:
    adder = WindowedAdder(10, clock)
    for second in range(30):
        adder.add(1)
        assert adder.sum() == min(second + 1, 10)
        clock.advance(1)
