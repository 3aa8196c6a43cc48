"""The breaker's states, and who moves it between them."""

import pytest

from meshproxy.accrual.breaker import FailureAccrual, State
from meshproxy.accrual.policies import (
    ConsecutiveFailures,
    ConsecutiveFailuresConfig,
    NeverDead,
    NoneConfig,
)
from meshproxy.backoff import constant
from meshproxy.metrics.tree import Tree
from meshproxy.timeline import Kind, timeline
from tests.kit.clock import FakeClock
from tests.kit.events import events_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0)


@pytest.fixture
def tree() -> Tree:
    return Tree()


def breaker(clock: FakeClock, tree: Tree, *waits: float, failures: int = 2) -> FailureAccrual:
    policy = ConsecutiveFailures(failures, lambda: iter(waits or (5.0,)))
    return FailureAccrual(policy, tree, "10.0.0.1:80", clock.ns)


def fail(accrual: FailureAccrual, times: int = 1) -> None:
    for _ in range(times):
        accrual.sent()
        accrual.failed()


def counters(tree: Tree) -> tuple[int, int, int, int]:
    removals, revivals, probes, removed = (
        tree.counter(name).value for name in ("removals", "revivals", "probes", "removed_for_ms")
    )
    return removals, revivals, probes, removed


def test_failures_in_a_row_take_an_endpoint_out(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, failures=2)
    fail(accrual)
    assert (accrual.state, accrual.is_open, accrual.alive) == (State.ALIVE, True, True)
    fail(accrual)
    assert (accrual.state, accrual.is_open, accrual.alive) == (State.DEAD, False, False)
    assert counters(tree) == (1, 0, 0, 5000)


def test_a_success_in_between_starts_the_count_again(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, failures=2)
    fail(accrual)
    accrual.sent()
    accrual.succeeded()
    fail(accrual)
    assert accrual.is_open


def test_after_the_dead_period_one_probe_goes_out(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree)
    fail(accrual, 2)
    clock.advance(4.999)
    assert accrual.state is State.DEAD
    clock.advance(0.001)
    assert (accrual.state, accrual.is_open) == (State.PROBE_OPEN, True)
    accrual.sent()
    assert (accrual.state, accrual.is_open) == (State.PROBE_CLOSED, False)
    assert counters(tree)[2] == 1


def test_a_probe_that_succeeds_revives(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0, 60.0)
    fail(accrual, 2)
    clock.advance(5)
    accrual.sent()
    accrual.succeeded()
    assert (accrual.state, accrual.alive) == (State.ALIVE, True)
    fail(accrual, 2)
    clock.advance(5)
    assert accrual.is_open
    assert counters(tree) == (2, 1, 1, 10_000)


def test_a_probe_that_fails_means_the_next_longer_wait(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0, 60.0)
    fail(accrual, 2)
    clock.advance(5)
    fail(accrual)
    clock.advance(59)
    assert accrual.state is State.DEAD
    clock.advance(1)
    assert accrual.state is State.PROBE_OPEN
    assert counters(tree) == (1, 0, 1, 65_000)


def test_a_probe_the_proxy_cancelled_is_made_again(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree)
    fail(accrual, 2)
    clock.advance(5)
    accrual.sent()
    accrual.ignored()
    assert (accrual.state, accrual.is_open) == (State.PROBE_OPEN, True)


def test_late_results_do_not_change_a_dead_endpoint(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0, 60.0)
    fail(accrual, 2)
    accrual.failed()
    accrual.ignored()
    assert accrual.state is State.DEAD
    clock.advance(5)
    accrual.failed()
    accrual.succeeded()
    assert accrual.state is State.PROBE_OPEN
    assert counters(tree) == (1, 0, 0, 5000)


def test_a_late_success_clears_the_count_so_one_failed_probe_only_reopens(
    clock: FakeClock, tree: Tree
) -> None:
    accrual = breaker(clock, tree)
    fail(accrual, 2)
    accrual.succeeded()
    clock.advance(5)
    fail(accrual)
    assert accrual.state is State.PROBE_OPEN


def test_requests_sent_while_dead_are_no_probes(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree)
    fail(accrual, 4)
    assert accrual.state is State.DEAD
    assert counters(tree)[2] == 0


def test_the_first_of_several_probes_decides(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0, 60.0)
    fail(accrual, 2)
    clock.advance(5)
    accrual.sent()
    accrual.sent()
    accrual.failed()
    accrual.succeeded()
    assert accrual.state is State.DEAD
    assert counters(tree)[2] == 1


def test_it_tells_its_state_and_how_long_it_lasts(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0)
    assert accrual.describe() == ("alive", 0)
    fail(accrual, 2)
    clock.advance(2)
    assert accrual.describe() == ("dead", 3)
    clock.advance(3)
    assert accrual.describe() == ("probe_open", 0)


def test_never_dead_is_never_dead(clock: FakeClock, tree: Tree) -> None:
    accrual = FailureAccrual(NoneConfig().new_policy(), tree, "10.0.0.1:80", clock.ns)
    fail(accrual, 100)
    assert accrual.is_open
    accrual.policy.revived()
    assert isinstance(accrual.policy, NeverDead)


def test_removal_and_revival_are_in_the_log(
    clock: FakeClock, tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    accrual = breaker(clock, tree)
    fail(accrual, 2)
    clock.advance(5)
    accrual.sent()
    accrual.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "endpoint 10.0.0.1:80 is marked dead for 5.0 s: 2 failures in a row",
        "endpoint 10.0.0.1:80 works again",
    ]


def test_the_configured_number_and_the_default_wait_apply(clock: FakeClock, tree: Tree) -> None:
    config = ConsecutiveFailuresConfig(failures=3)
    accrual = FailureAccrual(config.new_policy(), tree, "10.0.0.1:80", clock.ns)
    fail(accrual, 2)
    assert accrual.is_open
    fail(accrual)
    assert not accrual.is_open
    assert accrual._dead_until_ns == 5_000_000_000


def test_endpoints_do_not_share_a_policy() -> None:
    config = ConsecutiveFailuresConfig(failures=3)
    assert config.new_policy() is not config.new_policy()


def test_zero_failures_is_dead_after_the_first() -> None:
    assert ConsecutiveFailures(0, constant(1)).mark_dead_on_failure() == 1


def test_the_timeline_tells_why_and_until_when(clock: FakeClock, tree: Tree) -> None:
    policy = ConsecutiveFailures(2, lambda: iter((5.0, 60.0)))
    accrual = FailureAccrual(policy, tree, "events of this test", clock.ns)
    for cause in ("status 503", "connect: Connection refused\nand more"):
        accrual.sent()
        accrual.failed(cause)
    clock.advance(5)
    accrual.sent()
    accrual.failed("status 500")
    clock.advance(60)
    accrual.sent()
    accrual.succeeded()
    assert events_of("events of this test", Kind.BREAKER) == [
        "marked dead for 5.0 s: 2 failures in a row: connect: Connection refused",
        "marked dead for 60.0 s: a probe failed: status 500",
        "alive again, a probe succeeded",
    ]
    second = next(one for one in timeline.events() if "60.0" in one.text)
    assert second.until == pytest.approx(second.at + 60)


def test_it_knows_since_when_it_is_dead(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree, 5.0, 60.0)
    assert accrual.dead_s == 0
    clock.advance(3)
    fail(accrual, 2)
    clock.advance(5)
    fail(accrual)
    clock.advance(7)
    assert accrual.dead_s == 12
    clock.advance(60)
    accrual.sent()
    accrual.succeeded()
    assert accrual.dead_s == 0


def test_an_operator_marks_it_dead_and_alive(clock: FakeClock, tree: Tree) -> None:
    accrual = FailureAccrual(NoneConfig().new_policy(), tree, "marked by hand", clock.ns)
    accrual.mark_alive()
    accrual.mark_dead(30)
    assert (accrual.is_open, accrual.describe()) == (False, ("dead", 30))
    accrual.mark_dead(60)
    clock.advance(30)
    assert (accrual.describe(), accrual.dead_s) == (("dead", 30), 30)
    accrual.mark_alive()
    assert (accrual.is_open, accrual.alive, accrual.describe()) == (True, True, ("alive", 0))
    assert counters(tree) == (1, 1, 0, 90_000)
    assert events_of("marked by hand", Kind.OPERATOR) == [
        "marked dead for 30.0 s: by hand",
        "marked dead for 60.0 s: by hand",
        "marked alive by hand",
    ]


def test_what_an_operator_marked_dead_is_probed_afterwards(clock: FakeClock, tree: Tree) -> None:
    accrual = breaker(clock, tree)
    accrual.mark_dead(30)
    clock.advance(30)
    assert accrual.is_open
    accrual.sent()
    accrual.succeeded()
    assert accrual.alive
