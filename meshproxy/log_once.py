"""Logs once a minute for each reason, with the number of records left out since then.

A fault of each of a thousand requests a second deserves a line, not a full disk.
"""

import logging
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Final

INTERVAL_S: Final = 60.0
MAX_REASONS: Final = 100
"""Number of reasons kept; when full, further reasons are not logged within the interval."""


@dataclass(slots=True)
class _Last:
    """The last record for one reason."""

    at: float
    left_out: int = 0
    """Records left out since then."""


class LogOnce:
    """Logs to *log* what was not logged for the same reason within the interval."""

    __slots__ = ("_last", "_log", "_now")

    def __init__(self, log: logging.Logger, now: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._now = now
        self._last: dict[Hashable, _Last] = {}

    def warning(self, message: str, *values: Hashable) -> None:
        """Logs *message* with *values*, which are the reason."""
        left_out = self._left_out((message, values))
        if left_out is not None:
            self._log.warning(message + _more(left_out), *values)

    def exception(self, message: str, *values: object, error: BaseException | None = None) -> None:
        """Logs *error*, or the one being handled, with its traceback; its origin is the reason."""
        error = error or sys.exception()
        left_out = self._left_out(_origin(error))
        if left_out is not None:
            self._log.error(message + _more(left_out), *values, exc_info=error)

    def _left_out(self, reason: Hashable) -> int | None:
        """Returns how many records were left out so far; None if this one is left out as well."""
        now = self._now()
        last = self._last.get(reason)
        if last is None:
            if len(self._last) >= MAX_REASONS:
                self._forget(now)
            if len(self._last) >= MAX_REASONS:
                return None
            self._last[reason] = _Last(now)
            return 0
        if now - last.at < INTERVAL_S:
            last.left_out += 1
            return None
        left_out = last.left_out
        last.at, last.left_out = now, 0
        return left_out

    def _forget(self, now: float) -> None:
        self._last = {
            reason: last for reason, last in self._last.items() if now - last.at < INTERVAL_S
        }


def _more(left_out: int) -> str:
    return f" ({left_out} more since the last such line)" if left_out else ""


def _origin(error: BaseException | None) -> Hashable:
    """Returns the kind of *error* and the line of code that raised it."""
    place = None if error is None else error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return type(error), place and (place.tb_frame.f_code, place.tb_lineno)
