"""Buckets: what is taken, what comes back."""

from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.guard import Bucket


def taken(bucket: Bucket, now: float, cost: float = 1) -> int:
    """Take until it raises, and return how often it did not."""
    for count in range(1000):
        try:
            bucket.take(now, cost)
        except H2ConnectionError as error:
            if error.code is ErrorCode.ENHANCE_YOUR_CALM:
                return count
            raise
    raise AssertionError("it never raised")


def test_a_bucket_gives_what_it_holds_and_then_what_time_brings() -> None:
    bucket = Bucket("frogs", 5, 2, now=10)
    assert taken(bucket, 10) == 5
    assert taken(bucket, 11.5) == 3
    assert taken(bucket, 11.5) == 0
    assert taken(bucket, 1000) == 5


def test_work_puts_back_and_not_above_the_rim() -> None:
    bucket = Bucket("frogs", 5, 0, now=0)
    bucket.earned += 3
    assert taken(bucket, 0) == 5
    bucket.earned += 3
    assert taken(bucket, 0, cost=2) == 1


def test_work_may_save_more_than_time_puts_back() -> None:
    bucket = Bucket("frogs", 5, 1, now=0, most=8)
    bucket.earned += 10
    assert taken(bucket, 0) == 8
    assert taken(bucket, 100) == 5


def test_what_work_has_saved_is_not_lost_when_more_is_asked_for() -> None:
    bucket = Bucket("frogs", 5, 1, now=0, most=8)
    bucket.earned += 2
    assert not bucket.may_take(100, 8)
    assert taken(bucket, 100) == 7
