"""The number of CPUs this process may use, for `workers: auto`."""

import math
import os
from pathlib import Path
from typing import Final

_CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")
"""Quota and period of a container (kernel: Documentation/admin-guide/cgroup-v2.rst)."""


def usable_cpus(cpu_max: Path = _CPU_MAX) -> int:
    """Returns the number of CPUs that the scheduler and the quota of the cgroup allow."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cpus = os.cpu_count() or 1
    try:
        quota, period = map(int, cpu_max.read_text("ascii").split())
    except (OSError, ValueError):  # ValueError: the quota is `max`
        return cpus
    return max(1, min(cpus, math.ceil(quota / period)))
