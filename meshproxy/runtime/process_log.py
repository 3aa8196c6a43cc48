"""The log of the process on standard error: text to read, or a JSON object per line to collect.

Our own records are logged from the level asked for, those of libraries from warnings on at least.
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
"""Libraries that warn of what our own records tell, for each request or each attempt."""
_log_once: Final = LogOnce(_OURS)


def log_to_stderr(level: str, form: str, worker: int | None = None) -> None:
    """Log from *level* on, which is a name of logging's in lower case, as *form* says.

    Every record carries the number of the *worker* that this process is. Errors that nothing has
    caught are logged as well, whether they end the process, a greenlet or nothing, and so are
    Python's warnings.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker) if form == "json" else TextLines(worker))
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING))
    _OURS.setLevel(number)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_fatal
    sys.unraisablehook = _log_unraisable
    Hub.print_exception = _log_unhandled  # the hubs of threads too
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def settings() -> tuple[str, Form]:
    """Return the level and the form in which this process logs."""
    is_json = any(isinstance(one.formatter, JsonLines) for one in logging.getLogger().handlers)
    level = logging.getLevelName(_OURS.level).lower() if _OURS.level else DEFAULT_LEVEL
    return level, "json" if is_json else DEFAULT_FORM


def levels() -> dict[str, str]:
    """Returns the levels that loggers of this process have been given, by their names."""
    root = logging.getLogger()
    known = {root.name: root} | root.manager.loggerDict
    return {
        name: logging.getLevelName(one.level)
        for name, one in known.items()
        if isinstance(one, logging.Logger) and one.level
    }


def set_levels(levels: Mapping[str, str]) -> None:
    """Gives loggers the levels that they have in another process. Raises ValueError."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class JsonLines(logging.Formatter):
    """A record as a JSON object on one line: time, level, logger, message, and what it has else.

    The time is UTC as RFC 3339 writes it, the level in lower case; `exception` is a traceback.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._source = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
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
    """A record as a line of time, level and message, with further lines indented.

    So nothing that a peer says looks like a record of its own; control characters are escaped.
    """

    def __init__(self, worker: int | None = None) -> None:
        source = "" if worker is None else f"worker {worker}: "
        super().__init__(f"%(asctime)s %(levelname)s {source}%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines, without the end of the last."""
        text = super().format(record).replace("\n", "\n  ")
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _log_fatal(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    _OURS.critical("ended by %r", error, exc_info=(kind, error, at))


def _log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    """Log what came where it can go no further: out of a finalizer, say."""
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
    """Log what gevent's hub would print: the error that ended a greenlet or a callback."""
    error = kind() if error is None else error
    _log_once.exception("%s failed: %r", context, error, error=error.with_traceback(at))
