"""Looks at the files of certificates and secrets every few seconds, and applies changes."""

import logging
import ssl
from collections.abc import Callable, Iterable
from typing import Final

import gevent

from meshproxy.config.watched import watched_files
from meshproxy.metrics.tree import Tree
from meshproxy.protocols.protocol import ServedRouter
from meshproxy.server.listener import Listener
from meshproxy.wording import in_words

PERIOD_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


class FileWatch:
    """Watches the files that *listeners* and *routers* of this process use.

    Connections made with an older certificate take no new request. A broken file leaves its last
    good content in use; it is counted and logged once for each change.
    """

    def __init__(
        self,
        metrics: Tree,
        listeners: Callable[[], Iterable[Listener]],
        routers: Callable[[], Iterable[ServedRouter]] = tuple,
    ) -> None:
        self._failed = metrics.counter("files", "failed")
        self._listeners = listeners
        self._routers = routers
        self._watching: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begins to watch."""
        self._watching = gevent.spawn(self._watch)

    def close(self) -> None:
        """Stops watching."""
        if self._watching is not None:
            self._watching.kill()

    def look(self) -> None:
        """Looks at all files now."""
        for watched in watched_files.refresh():
            self._failed.value += 1
            files = ", ".join(watched.files)
            why = _why(watched.failure)
            _log.error("cannot use %s, what it held before stays in use: %s", files, why)
        for listener in self._listeners():
            listener.renew()
        for router in self._routers():
            for client in router.clients():
                client.renew()

    def _watch(self) -> None:
        while True:
            gevent.sleep(PERIOD_SECONDS)
            self.look()


def _why(error: Exception | None) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not a certificate in PEM with its key ({in_words(error)})"
    return "" if error is None else in_words(error)
