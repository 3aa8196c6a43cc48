"""The policies for rolling log files: the values of `httpAccessLogRollPolicy`.

util: util-logging/.../Policy.scala; sizes as StorageUnit.parse reads them
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Period = Literal["", "hour", "day", "week"]

_UNITS: Final = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")
_SIZE = re.compile(rf"([0-9]{{1,9}})\.({'|'.join(_UNITS)})s?").fullmatch
_WEEKLY = re.compile(r"weekly\(([1-7])\)").fullmatch
_PERIODS: Final[dict[str, Period]] = {"never": "", "sighup": "", "hourly": "hour", "daily": "day"}


@dataclass(frozen=True, slots=True)
class RollPolicy:
    """Begins a new file with each *period*, or before one grows beyond *size* bytes."""

    period: Period = ""
    weekday: int = 1
    """The first day of a week: 1 is Sunday."""
    size: int = 0
    """0 means no limit."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """A log file and how it is rolled; equal settings share a file across reloads."""

    path: str
    policy: RollPolicy = RollPolicy()
    append: bool = True
    """True to append to an existing file; otherwise it is emptied at start."""
    keep: int = -1
    """Number of rolled files kept; -1 means all."""


def roll_policy(text: str) -> RollPolicy:
    """Returns the policy that *text* names in any case. Raises ValueError for anything else."""
    lower = text.strip().lower()
    if lower in _PERIODS:
        return RollPolicy(_PERIODS[lower])
    if weekly := _WEEKLY(lower):
        return RollPolicy("week", weekday=int(weekly[1]))
    size = _SIZE(lower)
    if size and (number := int(size[1])):
        return RollPolicy(size=number * 1024 ** _UNITS.index(size[2]))
    raise ValueError(
        f"{text!r} is not a roll policy, write never, hourly, daily, weekly(n), n from 1 (Sunday) "
        "to 7, sighup, or a size such as 10.megabytes"
    )
