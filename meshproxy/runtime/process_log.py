"""The log of the process on standard error: text to read, or one JSON object per line.

Our own records are logged from the configured level on, those of libraries at least from warnings.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal

from gevent.hub import Hub

from meshproxy.log_once import LogOnce

Form = Literal["text", "json"]
DEFAULT_LEVEL: Final = "info"
DEFAULT_FORM: Final[Form] = "text"

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_OURS: Final = logging.getLogger("meshproxy")
_TOLD_BY_US: Final = ("urllib3",)
"""Libraries that warn of faults that our own records report, for each attempt."""
_log_once: Final = LogOnce(_OURS)


def log_to_stderr(level: str, form: str, worker: int | None = None) -> None:
    """Logs from *level* on, a name of logging's levels in lower case, in the form *form*.

    Every record has the number of the *worker* that this process is. Uncaught errors are logged
    too, whether they end the process, a greenlet or nothing, and so are Python's warnings.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker) if form == "json" else TextLines(worker))
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING))
    _OURS.setLevel(number)
    logging.logThreads = False  # gevent keeps a thread object for each raw greenlet that is named
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_fatal
    sys.unraisablehook = _log_unraisable
    Hub.print_exception = _log_unhandled  # the hubs of threads too
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def settings() -> tuple[str, Form]:
    """Returns the level and the form in which this process logs."""
    is_json = any(isinstance(one.formatter, JsonLines) for one in logging.getLogger().handlers)
    level = logging.getLevelName(_OURS.level).lower() if _OURS.level else DEFAULT_LEVEL
    return level, "json" if is_json else DEFAULT_FORM


def levels() -> dict[str, str]:
    """Returns the levels that were set for loggers of this process, by name."""
    root = logging.getLogger()
    known = {root.name: root} | root.manager.loggerDict
    return {
        name: logging.getLevelName(one.level)
        for name, one in known.items()
        if isinstance(one, logging.Logger) and one.level
    }


def set_levels(levels: Mapping[str, str]) -> None:
    """Sets the levels of loggers to those of another process. Raises ValueError."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class JsonLines(logging.Formatter):
    """A record as a JSON object on one line: time, level, logger, message and other fields.

    The time is UTC in RFC 3339 form, the level in lower case; `exception` is a traceback.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._source = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._source,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line)


class TextLines(logging.Formatter):
    """A record as a line of time, level and message; further lines are indented.

    So no text from a peer can look like a record of its own; control characters are escaped.
    """

    def __init__(self, worker: int | None = None) -> None:
        source = "" if worker is None else f"worker {worker}: "
        super().__init__(f"%(asctime)s %(levelname)s {source}%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Returns the lines, without the end of the last."""
        text = super().format(record).replace("\n", "\n  ")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _log_fatal(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    _OURS.critical("ended by %r", error, exc_info=(kind, error, at))


def _log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    """Logs an error that nothing can catch, such as that of a finalizer."""
    error = found.exc_type() if found.exc_value is None else found.exc_value
    _OURS.error(
        "%s %r: %r",
        found.err_msg or "ignored in",
        found.object,
        error,
        exc_info=(found.exc_type, error, found.exc_traceback),
    )


def _log_unhandled(
    _hub: Hub,
    context: object,
    kind: type[BaseException],
    error: BaseException | None,
    at: TracebackType | None,
) -> None:
    """Logs what gevent's hub would print: an error that ended a greenlet or a callback."""
    error = kind() if error is None else error
    _log_once.exception("%s failed: %r", context, error, error=error.with_traceback(at))
