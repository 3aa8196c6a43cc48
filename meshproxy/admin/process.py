"""`process/...`: resources of the process, in place of Linkerd's `jvm/...`; read on demand."""

import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from meshproxy.metrics.tree import Tree

_STATM: Final = Path("/proc/self/statm")
_FDS: Final = Path("/proc/self/fd")


def measure_process(metrics: Tree, uptime: Callable[[], float]) -> None:
    """Adds the gauges of this process to `process`; *uptime* is in seconds."""
    process = metrics.scope("process")
    process.gauge("up", fn=lambda: 1, together="max")
    process.gauge("uptime", fn=lambda: round(uptime() * 1000), together="max")
    process.gauge("cpu_ms", fn=cpu_ms)
    process.gauge("rss", fn=resident_bytes)
    process.gauge("threads", fn=threading.active_count)
    if _FDS.is_dir():
        process.gauge("fds", fn=open_descriptors)


def open_descriptors() -> float:
    """Returns the number of open descriptors; the limit if none is left to count them with."""
    try:
        return sum(1 for _ in _FDS.iterdir())
    except OSError:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def cpu_ms() -> float:
    """Returns the CPU time used in milliseconds, including that of workers that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(sum(one.ru_utime + one.ru_stime for one in used) * 1000)


def resident_bytes() -> float:
    """Returns the resident memory; without /proc, the highest it ever was."""
    try:
        return int(_STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
