"""One Kubernetes API server and its tables, shared by all namers and transformers that use it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from meshproxy.discovery.k8s.api import Api, ApiServer, Reason, Timing
from meshproxy.discovery.k8s.objects import ENDPOINTS, SERVICES, SLICES, Group, Resource, Service
from meshproxy.discovery.k8s.table import T, Table
from meshproxy.discovery.k8s.watch import Tally, Watch
from meshproxy.metrics.tree import Tree

MAX_IDLE: Final = 64
"""Tables of one kind kept with what they knew, after the last lookup of their namespace."""

_clusters: "WeakValueDictionary[tuple[ApiServer, Timing], Cluster]" = WeakValueDictionary()


class Cluster:
    """The services of one API server, namespace by namespace."""

    def __init__(
        self, server: ApiServer, timing: Timing, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.tally = Tally()
        self._api = Api(server, timing)
        self._now = now
        self._groups: dict[str, Table[Group]] = {}
        self._services: dict[str, Table[Service]] = {}
        self._patience_s: float | None = None

    def groups(self, namespace: str) -> Table[Group]:
        """Return who serves what in *namespace*: its EndpointSlices, else its Endpoints."""
        return self._table(self._groups, namespace, (SLICES, ENDPOINTS))

    def services(self, namespace: str) -> Table[Service]:
        """Return the Services of *namespace*."""
        return self._table(self._services, namespace, (SERVICES,))

    def lend_patience(self, seconds: float) -> None:
        """Let whoever has no fallback time of their own use *seconds*, or less if lent before."""
        lent = self._patience_s
        self._patience_s = seconds if lent is None else min(seconds, lent)

    def patience(self) -> float | None:
        """Return the shortest fallback time that was lent, if any was."""
        return self._patience_s

    def report(self, metrics: Tree) -> None:
        """Show in *metrics* how the API is doing."""
        metrics.gauge("lists", fn=lambda: self.tally.lists)
        metrics.gauge("events", fn=lambda: self.tally.events)
        metrics.gauge("watches", fn=lambda: sum(not table.is_idle for table in self._tables()))
        metrics.gauge("oldest_list_s", fn=self._oldest_list_s, together="max")
        for reason in Reason:
            metrics.gauge("failures", reason, fn=partial(self.tally.failures.__getitem__, reason))

    def _tables(self) -> list[Table[Group] | Table[Service]]:
        return [*self._groups.values(), *self._services.values()]

    def _oldest_list_s(self) -> float:
        """Return the age of the oldest list in use, 0 when there is none."""
        listed = [table.listed_at for table in self._tables() if not table.is_idle]
        return max((self._now() - at for at in listed if at is not None), default=0.0)

    def _table(
        self, tables: dict[str, Table[T]], namespace: str, resources: tuple[Resource[T], ...]
    ) -> Table[T]:
        table = tables.get(namespace)
        if table is None:
            for idle in [name for name, table in tables.items() if table.is_idle][:-MAX_IDLE]:
                del tables[idle]
            table = tables[namespace] = Table(
                lambda table: Watch(self._api, namespace, resources, table, self.tally), self._now
            )
        return table


def cluster_at(server: ApiServer, timing: Timing | None = None) -> Cluster:
    """Return the one cluster of *server*, as long as anybody uses it."""
    key = (server, timing or Timing())
    cluster = _clusters.get(key)
    if cluster is None:
        cluster = _clusters[key] = Cluster(*key)
    return cluster
