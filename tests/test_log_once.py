"""What is logged, and what is only counted."""

import logging

import pytest

from meshproxy.log_once import INTERVAL_S, MAX_REASONS, LogOnce
from tests.kit.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log_once(clock: FakeClock) -> LogOnce:
    return LogOnce(logging.getLogger("test"), clock)


def test_a_reason_is_logged_once_a_minute_with_what_was_left_out(
    log_once: LogOnce, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        log_once.warning("%s failed", "it")
    log_once.warning("other")
    clock.advance(INTERVAL_S)
    log_once.warning("%s failed", "it")
    assert caplog.messages == [
        "it failed",
        "other",
        "it failed (2 more since the last such line)",
    ]


def test_what_was_told_as_left_out_is_not_told_again(
    log_once: LogOnce, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        log_once.warning("failed")
        clock.advance(INTERVAL_S)
    assert caplog.messages == ["failed"] * 3


def test_too_many_reasons_are_not_logged_until_others_are_old(
    log_once: LogOnce, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for reason in range(MAX_REASONS + 10):
        log_once.warning("%d", reason)
    assert len(caplog.messages) == MAX_REASONS
    clock.advance(INTERVAL_S)
    log_once.warning("late")
    assert caplog.messages[-1] == "late"


def test_an_exception_is_known_by_the_place_that_raised_it(
    log_once: LogOnce, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(kind: type[Exception], words: str) -> None:
        raise kind(words)

    def fail_elsewhere() -> None:
        raise ValueError("elsewhere")

    for work in (
        lambda: fail(ValueError, "first"),
        lambda: fail(ValueError, "second"),
        lambda: fail(KeyError, "third"),
        fail_elsewhere,
    ):
        try:
            work()
        except (ValueError, KeyError):
            log_once.exception("broken")
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "first",
        "'third'",
        "elsewhere",
    ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}
