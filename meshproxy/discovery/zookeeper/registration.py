"""Members of a ZooKeeper node that exist as long as this process keeps them."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import gevent
from kazoo.client import KazooClient

from meshproxy.backoff import equal_jitter
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.zookeeper.ensemble import AT_ONCE, Ensemble, EnsembleLine
from meshproxy.metrics.tree import Tree

_BACKOFF: Final = equal_jitter(0.1, 5.0)

log = logging.getLogger(__name__)


class Registration:
    """Ephemeral *members* of *node*, by their data, created again in each session of *ensemble*.

    Nobody else may have sessions with *ensemble*: one in which a member may have been made
    unnoticed is given up.
    """

    def __init__(
        self, ensemble: Ensemble, node: str, members: Sequence[bytes], metrics: Tree
    ) -> None:
        self._ensemble = ensemble
        self._node = node
        self._members = members
        self._registrations = metrics.counter("registrations")
        self._errors = metrics.counter("errors")
        self._failure: ApiFailure | None = None
        self._client: KazooClient | None = None
        """The client of the session in which the members were created."""
        self._paths: list[str] = []
        self._line = EnsembleLine(ensemble)
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """Removes the members, and waits for that for at most `close_s`."""
        self._greenlet.kill()
        paths, self._paths = self._paths, []
        limit = gevent.Timeout(self._ensemble.timing.close_s, False)
        with limit, suppress(ApiFailure):
            self._ask("withdrawal", [partial(self._delete, path) for path in paths])
        self._line.close()
        log.info("no longer announced: %s", self._node)

    def _run(self) -> None:
        waits = _BACKOFF()
        while True:
            self._line.news.clear()
            try:
                client = self._line.client()
                if client is not self._client:
                    self._register(client)
                    waits = _BACKOFF()
            except ApiFailure as failure:
                self._note(failure)
                gevent.sleep(next(waits))
            else:
                self._line.news.wait()

    def _register(self, client: KazooClient) -> None:
        self._client, self._paths = client, []
        make = partial(client.create_async, f"{self._node}/member_", ephemeral=True, sequence=True)
        try:
            self._ask("parents", [partial(client.ensure_path_async, self._node)])
            self._paths = self._ask("members", [partial(make, data) for data in self._members])
        except ApiFailure:
            self._client = None
            self._ensemble.renew()
            raise
        self._registrations.incr()
        if self._failure is not None:
            self._ensemble.complaints.end(self._failure)
            self._failure = None
        log.info("announced: %s, as %s", self._node, ", ".join(map(repr, self._paths)))

    def _delete(self, path: str) -> Any:
        return None if self._client is None else self._client.delete_async(path)

    def _ask(self, what: str, asks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Returns the answers to *asks*. Raises `ApiFailure` also if the node is gone meanwhile."""
        answers: list[Any] = []
        for at in range(0, len(asks), AT_ONCE):
            answers += self._line.answers(f"{what} of {self._node}", asks[at : at + AT_ONCE])
        if None in answers:
            raise ApiFailure(Reason.GONE, f"{self._node} is gone")
        return answers

    def _note(self, failure: ApiFailure) -> None:
        self._errors.incr()
        before, self._failure = self._failure, failure
        if before is None or before.kind != failure.kind:
            self._ensemble.complaints.begin(failure, f"announcing {self._node}")
            if before is not None:
                self._ensemble.complaints.end(before)
