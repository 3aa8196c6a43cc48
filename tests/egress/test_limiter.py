"""How many requests a rule lets through."""

import pytest

from meshproxy.egress import limiter
from meshproxy.egress.limiter import Limit, Limiter
from tests.kit.clock import FakeClock


def test_a_burst_and_then_so_many_a_second() -> None:
    clock = FakeClock()
    limited = Limiter(Limit(per_second=2, burst=3), clock)
    assert [limited.enter("") for _ in range(5)] == [0, 0, 0, 1, 1]
    clock.advance(0.5)
    assert [limited.enter("") for _ in range(2)] == [0, 1]
    clock.advance(100)
    assert [limited.enter("") for _ in range(4)] == [0, 0, 0, 1]


def test_the_wait_is_told_in_whole_seconds() -> None:
    clock = FakeClock()
    limited = Limiter(Limit(per_second=0.1, burst=1), clock)
    assert [limited.enter(""), limited.enter("")] == [0, 10]
    clock.advance(6.5)
    assert limited.enter("") == 4


def test_so_many_at_a_time() -> None:
    limited = Limiter(Limit(concurrent=2), FakeClock())
    assert [limited.enter("") for _ in range(3)] == [0, 0, 1]
    limited.leave("")
    assert [limited.enter("") for _ in range(2)] == [0, 1]


def test_who_finds_no_place_spends_no_token() -> None:
    limited = Limiter(Limit(per_second=1, burst=2, concurrent=1), FakeClock())
    assert [limited.enter("") for _ in range(9)] == [0, *[1] * 8]
    limited.leave("")
    assert limited.enter("") == 0


def test_callers_share_a_limit_or_have_their_own() -> None:
    shared = Limiter(Limit(concurrent=1), FakeClock())
    assert [shared.enter("a"), shared.enter("b")] == [0, 1]
    own = Limiter(Limit(concurrent=1, by_caller=True), FakeClock())
    assert [own.enter("a"), own.enter("b"), own.enter("a")] == [0, 0, 1]
    own.leave("b")
    assert [own.enter("a"), own.enter("b")] == [1, 0]


def test_the_caller_longest_unused_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "MAX_CALLERS", 3)
    limited = Limiter(Limit(per_second=0.001, burst=1, by_caller=True), FakeClock())
    for caller in ("running", "b", "c"):
        assert limited.enter(caller) == 0
    limited.leave("b")
    limited.leave("c")
    assert limited.enter("d") == 0, "b makes room, as it is the oldest without a request"
    assert limited.enter("running") > 0
    assert limited.enter("c") > 0
    assert limited.enter("b") == 0
