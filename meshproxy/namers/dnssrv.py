"""Services by their SRV records: io.l5d.dnssrv (linkerd: namer/dnssrv/.../DnsSrvNamer.scala)."""

import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.backoff import equal_jitter
from meshproxy.config.bases import NamerConfig, NamerDeps, Resolver
from meshproxy.config.decode import Problem, key
from meshproxy.discovery.dns_query import QueryFailed, Server, UnexpectedCode
from meshproxy.discovery.hostname import literal, why_refused
from meshproxy.discovery.members import Members
from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats, polled
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrPending
from meshproxy.naming.bound import Bound
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.naming.services import ServiceRecord, Services
from meshproxy.var import PENDING, Ok, State, Var, collect

LEAST_WEIGHT: Final = 0.01
"""Weight of records with weight 0 beside others: a very small share."""

Records = tuple[ServiceRecord, ...]


class DnsSrvNamer:
    """Names `/name`, whose SRV records are asked for again when they expire.

    A name without a record whose host has an address is negative, and so is everything before the
    first answer if there is none to be had. The last answer stays while later questions fail.
    """

    host = "io.l5d.dnssrv"
    """Its name in logs."""

    def __init__(
        self,
        prefix: Path,
        resolver: Resolver,
        servers: tuple[str, ...],
        interval_s: float,
        metrics: Tree,
    ) -> None:
        self.prefix = prefix
        self.complaints = Complaints(self.host)
        self._resolver = resolver
        self._unknown_hosts = metrics.counter("unknown_srv_hosts_results_total")
        stats = WatchStats(metrics.scope("service"))
        asker = _Asker(resolver, servers, interval_s, metrics)

        def watch(name: str) -> Watch[Records]:
            return Watch(
                self,
                name,
                lambda line: asker.follow(line, name),
                line=lambda _moved: _Line(metrics, name),
                backoff=equal_jitter(min(1.0, interval_s), interval_s),
                stats=stats,
                unknown=lambda _: Ok(()),
                show=_shown,
            )

        self._watches: Watches[str, Records] = Watches(watch)

    def lookup(self, path: Path) -> Lookup:
        """Returns negative until the name has records, and then their hosts."""
        name = path[0].decode("latin-1").lower().removesuffix(".") if path else ""
        if not name or literal(name) is not None or why_refused(name) is not None:
            return NEG
        addr = self._watches.follow(name).flat_map(self._addr)
        leaf = Leaf(Bound(self.prefix + path.take(1), addr, path.drop(1)))
        return addr.map(lambda found: _tree(found, leaf))

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of each name that is in use."""
        return self._watches.describe()

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        return self._watches.followed()

    def _addr(self, state: State[Records]) -> Var[Addr]:
        """Returns the addresses of the lowest priority that has any."""
        if not isinstance(state, Ok):
            return Var(ADDR_PENDING)
        groups = [
            members.addr(self._resolver.resolve).map(self._counted)
            for members in by_priority(state.value)
        ]
        return collect(groups).map(_first)

    def _counted(self, addr: Addr) -> Addr:
        if not isinstance(addr, AddrBound | AddrPending):
            self._unknown_hosts.incr()
        return addr


class _Line:
    """When a name was asked for and answered, and how often, as the metrics show meanwhile."""

    def __init__(self, metrics: Tree, name: str) -> None:
        self.request = ""
        self.requested_at = self.responded_at = 0.0
        self.iteration = 0
        self._metrics = metrics
        self._gauge = ("lookup_dns", "iteration", name)
        metrics.gauge(*self._gauge, fn=lambda: self.iteration)

    def close(self) -> None:
        """Shows it no longer."""
        self._metrics.remove(*self._gauge)


class _Asker:
    """Asks for records, and counts the results."""

    def __init__(
        self, resolver: Resolver, servers: tuple[str, ...], interval_s: float, metrics: Tree
    ) -> None:
        self._resolver = resolver
        self._servers = servers
        self._interval_s = interval_s
        self._successes = metrics.counter("lookup_successes_total")
        self._failures = metrics.counter("lookup_failures_total")
        self._without = metrics.counter("lookup_zero_results_total")
        self._unexpected = metrics.counter("unexpected_code_total")
        self._duration_ms = metrics.stat("request_duration_ms")

    def follow(self, line: _Line, name: str) -> Generator[Records, None, None]:
        """Yields the records of *name*, again after the interval or their TTL if that is longer."""
        ttl_s = 0.0

        def ask() -> Records:
            nonlocal ttl_s
            services = self._ask(line, name)
            ttl_s = services.ttl_s
            return services.records

        return polled(ask, lambda: max(self._interval_s, ttl_s))

    def _ask(self, line: _Line, name: str) -> Services:
        line.request, line.requested_at = f"SRV {name}", time.time()
        line.iteration += 1
        begun = time.monotonic()
        try:
            services = self._resolver.services(name, self._servers)
        except QueryFailed as failure:
            self._failures.incr()
            if isinstance(failure, UnexpectedCode):
                self._unexpected.incr()
            raise ApiFailure(Reason.BROKEN, str(failure)) from failure
        finally:
            line.responded_at = time.time()
            self._duration_ms.add((time.monotonic() - begun) * 1000)
        (self._successes if services.records else self._without).incr()
        return services


def by_priority(records: Records) -> list[Members]:
    """Returns the members of each priority, the lowest number first, with their weights."""
    groups: dict[int, list[ServiceRecord]] = defaultdict(list)
    for record in records:
        groups[record.priority].append(record)
    return [_weighed(groups[priority]) for priority in sorted(groups)]


def _weighed(records: list[ServiceRecord]) -> Members:
    alike = not any(record.weight for record in records)
    return Members.of(
        Address(record.host, record.port, 1.0 if alike else record.weight or LEAST_WEIGHT)
        for record in records
    )


def _first(groups: tuple[Addr, ...]) -> Addr:
    """Returns the first of *groups* that has addresses; pending while one before it may."""
    for addr in groups:
        if isinstance(addr, AddrPending) or (isinstance(addr, AddrBound) and addr.addresses):
            return addr
    return ADDR_NEG


def _tree(addr: Addr, leaf: Leaf[Bound]) -> State[NameTree[Path | Bound]]:
    if isinstance(addr, AddrPending):
        return PENDING
    return Ok(leaf if isinstance(addr, AddrBound) else NEG)


def _shown(records: Records) -> list[dict[str, object]]:
    return [record._asdict() for record in sorted(records)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSrvNamerConfig(NamerConfig):
    """Services by the names of their SRV records."""

    kind: ClassVar[str] = "io.l5d.dnssrv"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.dnssrv")
    requires_experimental: ClassVar[bool] = True
    refresh_interval_seconds: int = key(
        default=5, minimum=1, doc="How often records are asked for, if their TTL is not longer."
    )
    dns_hosts: tuple[str, ...] = key(
        default=(),
        doc="Name servers to ask, `host` or `host:port`; those of `dns`, else of resolv.conf, when"
        " unset.",
    )

    def check(self) -> Iterable[Problem]:
        """Names servers are hosts, perhaps with a port."""
        for index, text in enumerate(self.dns_hosts):
            if not _is_host_port(text):
                what = f"{text!r} is no host, write it as ns.example.com or 10.0.0.2:53"
                yield Problem(what, f"dnsHosts[{index}]")

    def build(self, deps: NamerDeps) -> DnsSrvNamer:
        """Returns the namer."""
        return DnsSrvNamer(
            deps.prefix,
            deps.resolver,
            self.dns_hosts,
            float(self.refresh_interval_seconds),
            deps.metrics.scope(deps.prefix.show()[1:]),
        )


def _is_host_port(text: str) -> bool:
    try:
        server = Server.parse(text)
    except ValueError:
        return False
    if not 0 < server.port < 65536:
        return False
    return literal(server.host) is not None or why_refused(server.host) is None
