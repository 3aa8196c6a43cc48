"""The defaults are those that the documentation promises."""

import dataclasses
import math

import pytest

from meshproxy.http.limits import Limits

PROMISED = {
    "first_line": 4096,
    "header_bytes": 8192,
    "header_count": 128,
    "body_bytes": math.inf,
    "replay_bytes": 5120,
    "error_bytes": 5120 * 1024,
    "head_seconds": 10.0,
    "idle_seconds": 600.0,
    "write_timeout": 60.0,
    "attempt": math.inf,
    "first_byte": 300.0,
}


@pytest.mark.parametrize(("name", "value"), PROMISED.items())
def test_a_limit_has_its_default(name: str, value: float) -> None:
    assert getattr(Limits(), name) == value


def test_every_wait_ends_by_default() -> None:
    waits = {
        "head_seconds",
        "idle_seconds",
        "read_idle",
        "response_idle",
        "write_timeout",
        "first_byte",
    }
    assert all(getattr(Limits(), name) < math.inf for name in waits)


def test_limits_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().first_line = 1  # type: ignore[misc]
