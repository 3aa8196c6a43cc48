from itertools import islice

import pytest

from meshproxy.config.backoff import ConstantConfig, JitteredConfig


def test_constant_waits_the_same_in_seconds() -> None:
    assert list(islice(ConstantConfig(ms=250).build()(), 3)) == [0.25, 0.25, 0.25]


def test_constant_does_not_wait_by_default() -> None:
    assert next(ConstantConfig().build()()) == 0


def test_jittered_starts_at_the_least_and_stays_below_the_most() -> None:
    waits = list(islice(JitteredConfig(min_ms=100, max_ms=400).build()(), 50))
    assert waits[0] == pytest.approx(0.1)
    assert waits == sorted(waits)
    assert max(waits) <= 0.4


def test_the_bounds_of_jittered_must_be_in_order() -> None:
    (problem,) = JitteredConfig(min_ms=5, max_ms=4).check()
    assert problem.key == "minMs"
    assert list(JitteredConfig(min_ms=5, max_ms=5).check()) == []
