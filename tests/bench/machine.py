"""What processes use, as /proc tells it."""

import os
import re
from pathlib import Path

import gevent

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return *pid* and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(stat)
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the seconds of CPU, user and system, that *pids* have used."""
    used = 0
    for pid in pids:
        try:
            fields = _fields(Path(f"/proc/{pid}/stat"))
        except OSError:
            continue
        used += int(fields[11]) + int(fields[12])
    return used * _TICK_S


def memory_kib(pids: list[int], kind: str = "Pss") -> int:
    """Return the resident KiB of *pids*; `Pss` gives each its share of what they share."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(rf"^{kind}:\s+(\d+)", text, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total


def cores() -> tuple[str, str]:
    """Return a core for the proxy and one for the load; the same if there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    return str(mine[0]), str(mine[1 % len(mine)])


def settle(pids: list[int], limit_s: float = 5.0) -> None:
    """Wait until *pids* are done with what they began, at most *limit_s*."""
    for _ in range(int(limit_s / 0.25)):
        before = cpu_s(pids)
        gevent.sleep(0.25)
        if cpu_s(pids) - before < 0.02:
            return


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()
