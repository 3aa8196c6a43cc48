"""A reload as an operator asks for it: by SIGHUP, or POST /admin/reload."""

import logging
from collections.abc import Callable

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.generation import CannotStart
from meshproxy.runtime.linker import Linker

_log = logging.getLogger(__name__)

Source = Callable[[], LinkerConfig]
"""Reads the configuration as it is now. Raises ConfigErrors, CannotStart, OSError, ValueError."""


def reload(linker: Linker, source: Source) -> str | None:
    """Open the access logs again and serve by *source*, if it works; else all that is wrong."""
    linker.reopen_logs()
    metrics = linker.metrics.scope("reload")
    try:
        linker.reload(source())
    except (ConfigErrors, CannotStart, OSError, ValueError) as error:
        metrics.counter("failed").incr()
        _log.error("not reloaded, the configuration before is still served:\n%s", error)
        return str(error)
    metrics.counter("ok").incr()
    _log.info("reloaded")
    return None
