"""Reloads on request of an operator: by SIGHUP, or POST /admin/reload."""

import logging
from collections.abc import Callable

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.supervisor import Supervisor
from meshproxy.timeline import Kind, timeline

_log = logging.getLogger(__name__)

Source = Callable[[], LinkerConfig]
"""Reads the present configuration. Raises ConfigErrors, CannotStart, OSError, ValueError."""


def reload(linker: Linker | Supervisor, source: Source) -> str | None:
    """Reopens the access logs and serves *source* if it works; otherwise returns all problems."""
    linker.reopen_logs()
    metrics = linker.metrics.scope("reload")
    try:
        linker.reload(_alike(source(), linker.config))
    except (ConfigErrors, CannotStart, OSError, ValueError) as error:
        metrics.counter("failed").incr()
        first = str(error).partition("\n")[0]
        timeline.note(Kind.RELOAD, "configuration", f"not reloaded: {first}")
        _log.error("not reloaded, the configuration before is still served:\n%s", error)
        return str(error)
    metrics.counter("ok").incr()
    timeline.note(Kind.RELOAD, "configuration", "reloaded")
    _log.info("reloaded")
    return None


def _alike(config: LinkerConfig, before: LinkerConfig) -> LinkerConfig:
    """Returns *config* if the process that serves *before* can serve it. Raises CannotStart."""
    if (config.workers is None) != (before.workers is None):
        raise CannotStart("workers: from one process to workers and back takes a restart")
    return config
