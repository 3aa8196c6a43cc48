"""The number of CPUs, by the scheduler and by the quota of a container."""

import os
from pathlib import Path

import pytest

from meshproxy.config.cpus import usable_cpus

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("max 100000\n", ALL),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("100001 100000\n", min(2, ALL)),
        ("99999999 100000\n", ALL),
        ("", ALL),
        (None, ALL),
    ],
)
def test_a_quota_counts_in_whole_cpus(tmp_path: Path, written: str | None, expected: int) -> None:
    file = tmp_path / "cpu.max"
    if written is not None:
        file.write_text(written)
    assert usable_cpus(file) == expected


def test_only_cpus_that_may_run_us_count() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
