"""One Kubernetes API server with its tables, shared by all namers and transformers using it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Generic, TypeAlias
from weakref import WeakValueDictionary

from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.k8s.namespaces import Claim, Namespaces
from meshproxy.discovery.k8s.objects import (
    BETA_INGRESSES,
    ENDPOINTS,
    INGRESSES,
    NAMESPACES,
    SERVICES,
    SLICES,
    Group,
    Ingress,
    Resource,
    Service,
)
from meshproxy.discovery.k8s.table import Emit, T, Table
from meshproxy.discovery.k8s.watch import ListWatch, Tally
from meshproxy.discovery.watching.failure import Reason
from meshproxy.metrics.tree import Tree
from meshproxy.naming.followed import Followed
from meshproxy.var import PENDING, Activity, Close, Source

MAX_IDLE: Final = 64
"""Idle tables of one kind that are kept with their contents."""

FallbackAfter: TypeAlias = Callable[[], float | None]
"""Returns the seconds after which a name counts as absent if no list has come; None: never."""
Lookup: TypeAlias = Activity[tuple[T, ...] | None]
"""What the objects of a service contain, `()` if there are none; None after the fallback time."""

_clusters: "WeakValueDictionary[tuple[ApiServer, Timing], Cluster]" = WeakValueDictionary()


class Cluster:
    """The services of one API server by namespace."""

    def __init__(
        self, server: ApiServer, timing: Timing, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.tally = Tally()
        self._api = KubernetesApi(server, timing)
        self._now = now
        self._groups: _Tables[Group] = _Tables(partial(self._watch, (SLICES, ENDPOINTS)), now)
        self._services: _Tables[Service] = _Tables(partial(self._watch, (SERVICES,)), now)
        self._ingresses: _Tables[Ingress] = _Tables(
            partial(self._watch, (INGRESSES, BETA_INGRESSES)), now
        )
        self._given: set[str] = set()
        self._namespaces = Namespaces(
            Table(lambda table: ListWatch(self._api, "", (NAMESPACES,), table, self.tally), now),
            timing.empty_s,
        )
        self._fallback_s: float | None = None

    @property
    def host(self) -> str:
        """The API's `host:port`."""
        return self._api.host

    def groups(self, namespace: str, service: str, fallback_after: FallbackAfter) -> Lookup[Group]:
        """Returns the endpoints of *service*: from its EndpointSlices, else its Endpoints."""
        return self._groups.entry(namespace, service, fallback_after)

    def services(
        self, namespace: str, service: str, fallback_after: FallbackAfter
    ) -> Lookup[Service]:
        """Returns the Service *service* as a tuple of at most one."""
        return self._services.entry(namespace, service, fallback_after)

    def ingresses(self, namespace: str) -> Lookup[Ingress]:
        """Returns the Ingresses of *namespace*, or of all if it is empty, in the API's order."""
        self.expect(namespace)
        return self._ingresses.entry(namespace, "", lambda: None)

    def expect(self, namespace: str) -> None:
        """Assumes that *namespace* exists, as the operator names it."""
        self._given.add(namespace)

    def share_fallback(self, seconds: float) -> None:
        """Makes *seconds*, or less if set before, the fallback time of users without their own."""
        shared = self._fallback_s
        self._fallback_s = seconds if shared is None else min(seconds, shared)

    def fallback_after(self) -> float | None:
        """Returns the shortest fallback time that was shared, if any."""
        return self._fallback_s

    def describe(self) -> dict[str, Any]:
        """Returns what is known of each namespace in use, by resource, as JSON."""
        return {
            resource: {namespace: table.describe() for namespace, table in tables.in_use()}
            for resource, tables in self._by_resource()
        }

    def followed(self) -> Iterator[Followed]:
        """Yields a short form of the same."""
        for resource, tables in self._by_resource():
            for namespace, table in tables.in_use():
                yield table.followed(f"{resource} of {namespace or 'all namespaces'}")

    def ports(self) -> Iterator[tuple[str, str, str]]:
        """Yields namespace, port and service of all endpoints that are known."""
        for namespace, table in self._groups.in_use():
            for service, groups in table.owners():
                for port in dict.fromkeys(port for group in groups for port in group.ports):
                    yield namespace, port, service

    def _by_resource(self) -> Iterator[tuple[str, "_Tables[Any]"]]:
        yield "endpoints", self._groups
        yield "services", self._services
        yield "ingresses", self._ingresses

    def report(self, metrics: Tree) -> None:
        """Reports the state of the API in *metrics*."""
        metrics.gauge("lists", fn=lambda: self.tally.lists)
        metrics.gauge("events", fn=lambda: self.tally.events)
        metrics.gauge("watches", fn=lambda: self.tally.watches)
        metrics.gauge("oldest_list_s", fn=self._oldest_list_s, together="max")
        for reason in Reason:
            metrics.gauge("failures", reason, fn=partial(self.tally.failures.__getitem__, reason))

    def _oldest_list_s(self) -> float:
        """Returns the age of the oldest list in use; 0 if there is none."""
        tables = (self._groups, self._services, self._ingresses)
        listed = [at for each in tables for at in each.listed_at()]
        return max((self._now() - at for at in listed), default=0.0)

    def _watch(
        self, resources: tuple[Resource[T], ...], namespace: str, table: Table[T]
    ) -> ListWatch[T]:
        claim = Claim(namespace, None if namespace in self._given else self._namespaces)
        return ListWatch(self._api, namespace, resources, table, self.tally, claim)


class _Tables(Generic[T]):
    """The tables of one kind by namespace: those in use, and idle ones that are not empty."""

    def __init__(
        self, watch: Callable[[str, Table[T]], ListWatch[T]], now: Callable[[], float]
    ) -> None:
        self._watch = watch
        self._now = now
        self._tables: dict[str, Table[T]] = {}
        self._rested: OrderedDict[str, None] = OrderedDict()
        """Namespaces with idle tables, the latest last; they may be in use again."""

    def entry(self, namespace: str, owner: str, fallback_after: FallbackAfter) -> Lookup[T]:
        """Returns what the table of *namespace* contains for *owner*, see `Table.follow`."""

        def start(emit: Emit[T]) -> Close:
            return self._table(namespace).follow(owner, emit, fallback_after())

        return Source(start, PENDING)

    def in_use(self) -> list[tuple[str, Table[T]]]:
        """Returns the tables that are observed, by namespace."""
        return [(name, one) for name, one in sorted(self._tables.items()) if not one.is_idle]

    def listed_at(self) -> list[float]:
        """Returns when the tables in use were listed, omitting empty ones."""
        tables = [one for one in self._tables.values() if not (one.is_idle or one.is_empty)]
        return [table.listed_at for table in tables if table.listed_at is not None]

    def _table(self, namespace: str) -> Table[T]:
        table = self._tables.get(namespace)
        if table is None:
            watch, rest = partial(self._watch, namespace), partial(self._rest, namespace)
            table = self._tables[namespace] = Table(watch, self._now, rest)
        return table

    def _rest(self, namespace: str) -> None:
        """Forgets an idle table that is empty, or else the longest idle one."""
        if self._tables[namespace].is_empty:
            self._rested.pop(namespace, None)
            del self._tables[namespace]
            return
        self._rested[namespace] = None
        self._rested.move_to_end(namespace)
        if len(self._rested) > MAX_IDLE:
            oldest, _ = self._rested.popitem(last=False)
            if self._tables[oldest].is_idle:
                del self._tables[oldest]


def clusters() -> list[Cluster]:
    """Returns all clusters in use: namers, identifiers and transformers share them."""
    return list(_clusters.values())


def cluster_at(server: ApiServer, timing: Timing | None = None) -> Cluster:
    """Returns the only cluster of *server*, as long as it is in use."""
    key = (server, timing or Timing())
    cluster = _clusters.get(key)
    if cluster is None:
        cluster = _clusters[key] = Cluster(*key)
    return cluster
