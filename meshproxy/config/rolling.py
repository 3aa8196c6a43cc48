"""When a log file is rolled: the values of `httpAccessLogRollPolicy`.

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
    """Begin a new file with each *period*, or before one grows beyond *size* bytes."""

    period: Period = ""
    weekday: int = 1
    """The day on which a week begins: 1 is Sunday."""
    size: int = 0
    """0 is no limit."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """A log file, and how it is kept; equal settings share a file across reloads."""

    path: str
    policy: RollPolicy = RollPolicy()
    append: bool = True
    """Go on with the file that is there; else it is emptied at start."""
    keep: int = -1
    """Rolled files kept; -1 is all."""


def roll_policy(text: str) -> RollPolicy:
    """The policy that *text* means, whatever its case. Raises ValueError for anything else."""
    lower = text.strip().lower()
    if lower in _PERIODS:
        return RollPolicy(_PERIODS[lower])
    if weekly := _WEEKLY(lower):
        return RollPolicy("week", weekday=int(weekly[1]))
    size = _SIZE(lower)
    if size and (number := int(size[1])):
        return RollPolicy(size=number * 1024 ** _UNITS.index(size[2]))
    raise ValueError(
        f"{text!r} is no roll policy, write never, hourly, daily, weekly(n) with n of 1 (Sunday) "
        "to 7, sighup, or a size such as 10.megabytes"
    )
