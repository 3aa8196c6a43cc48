"""A reload as an operator asks for it: by SIGHUP, or POST /admin/reload."""

import logging
from collections.abc import Callable

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.supervisor import Supervisor

_log = logging.getLogger(__name__)

Source = Callable[[], LinkerConfig]
"""Reads the configuration as it is now. Raises ConfigErrors, CannotStart, OSError, ValueError."""


def reload(linker: Linker | Supervisor, source: Source) -> str | None:
    """Open the access logs again and serve by *source*, if it works; else all that is wrong."""
    linker.reopen_logs()
    metrics = linker.metrics.scope("reload")
    try:
        linker.reload(_alike(source(), linker.config))
    except (ConfigErrors, CannotStart, OSError, ValueError) as error:
        metrics.counter("failed").incr()
        _log.error("not reloaded, the configuration before is still served:\n%s", error)
        return str(error)
    metrics.counter("ok").incr()
    _log.info("reloaded")
    return None


def _alike(config: LinkerConfig, before: LinkerConfig) -> LinkerConfig:
    """*config*, if the process that serves *before* can serve it. Raises CannotStart."""
    if (config.workers is None) != (before.workers is None):
        raise CannotStart("workers: from one process to workers and back takes a restart")
    return config
