"""Names of services in Consul: io.l5d.consul (linkerd: namer/consul/src/main/scala)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from meshproxy.backoff import equal_jitter
from meshproxy.config.bases import NamerConfig, NamerDeps, Resolver
from meshproxy.config.decode import Config, Port, Problem, Severity, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.consul import (
    Agent,
    Consistency,
    Consul,
    NodeFilter,
    ServiceKey,
    ServiceNodes,
    Status,
    bad_token,
    token_headers,
)
from meshproxy.discovery.hostname import can_stand_in_host
from meshproxy.discovery.members import Members, bind_members
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats
from meshproxy.metrics.tree import Tree
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var

BACKOFF: Final = equal_jitter(0.01, 5.0)
LOCAL: Final = ".local"
"""Stands for the agent's own datacenter."""


class ConsulNamer:
    """Names `/datacenter/service`, or `/datacenter/tag/service` if *has_tags*.

    A service without nodes is negative, and so is everything before the agent's first answer if
    it cannot be asked. The last answer stays while later questions fail.
    """

    def __init__(
        self,
        prefix: Path,
        consul: Consul,
        resolver: Resolver,
        metrics: Tree,
        *,
        has_tags: bool,
        sets_host: bool,
    ) -> None:
        self.prefix = prefix
        self._resolver = resolver
        self._length = 3 if has_tags else 2
        self._sets_host = sets_host
        self._lookups = metrics.counter("lookups")
        service_metrics = metrics.scope("service")
        self._cached = service_metrics.counter("cached")
        stats, agent_stats = WatchStats(service_metrics), WatchStats(metrics.scope("agent"))

        def watch_service(key: ServiceKey) -> Watch[ServiceNodes]:
            return Watch(
                consul.api,
                Path.of(*filter(None, (key.datacenter, key.tag, key.service))).show(),
                lambda line: consul.service(line, key),
                backoff=BACKOFF,
                stats=stats,
                unknown=lambda _: Ok(ServiceNodes(Members())),
                show=_shown,
            )

        def watch_agent(_: None) -> Watch[Agent | None]:
            return Watch(
                consul.api,
                "agent",
                consul.agent,
                backoff=BACKOFF,
                stats=agent_stats,
                unknown=lambda _: Ok(None),
            )

        self._services: Watches[ServiceKey, ServiceNodes] = Watches(watch_service)
        self._agents: Watches[None, Agent | None] = Watches(watch_agent)

    def lookup(self, path: Path) -> Lookup:
        """Answers negative until the service has nodes, and with them while it does."""
        self._lookups.incr()
        consumed = path.take(self._length)
        try:
            segments = [segment.decode() for segment in consumed]
        except UnicodeDecodeError:
            return NEG
        if len(segments) < self._length:
            return NEG
        datacenter, *tag, service = segments
        wanted = ServiceKey(datacenter, service.lower(), tag[0].lower() if tag else None)
        bound_id, residual = self.prefix + consumed, path.drop(self._length)
        return bind_members(self._found(wanted), bound_id, residual, self._resolver.resolve)

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of each service that is in use."""
        return self._services.describe()

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        yield from self._services.followed()
        yield from self._agents.followed()

    def _found(self, wanted: ServiceKey) -> Activity[Members]:
        if not self._sets_host and wanted.datacenter != LOCAL:
            return self._follow(wanted)

        def beside(state: State[Agent | None]) -> Activity[Members]:
            if not isinstance(state, Ok):
                return Var(state)
            return Var(Ok(Members())) if state.value is None else self._named(wanted, state.value)

        return self._agents.follow(None).flat_map(beside)

    def _named(self, wanted: ServiceKey, agent: Agent) -> Activity[Members]:
        """Follows the service by its real datacenter, with the authority it has in Consul's DNS."""
        if wanted.datacenter == LOCAL:
            wanted = wanted._replace(datacenter=agent.datacenter)
        if not self._sets_host:
            return self._follow(wanted)
        labels = (wanted.tag, wanted.service, "service", wanted.datacenter, agent.domain)
        authority = ".".join(filter(None, labels))
        if not can_stand_in_host(authority):
            return Var(Ok(Members()))
        return self._follow(wanted, authority)

    def _follow(self, key: ServiceKey, authority: str | None = None) -> Activity[Members]:
        if key in self._services:
            self._cached.incr()

        def members(state: State[ServiceNodes]) -> State[Members]:
            if not isinstance(state, Ok):
                return state
            return Ok(replace(state.value.members, authority=authority))

        return self._services.follow(key).map(members)


def _shown(service: ServiceNodes) -> Mapping[str, Any]:
    return {"addresses": service.members.show(), "meta": dict(service.meta)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TagWeightConfig(Config):
    """The weight of the nodes that have a tag."""

    tag: str = key(doc="The tag.")
    weight: float = key(minimum=0, doc="The share of requests of each such node, beside 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulNamerConfig(NamerConfig):
    """Services of Consul by `/datacenter/service`; the agent's own datacenter is `.local`."""

    kind: ClassVar[str] = "io.l5d.consul"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.consul")

    host: str = key(default="localhost", doc="The agent of Consul.")
    port: Port = key(default=Port(8500), minimum=1, doc="The port of its HTTP API.")
    include_tag: bool = key(default=False, doc="Names are `/datacenter/tag/service`.")
    use_health_check: bool = key(default=False, doc="Only nodes in `healthStatuses` count.")
    health_statuses: tuple[Status, ...] | None = key(
        default=None, doc="With `useHealthCheck`; `[passing]` when unset."
    )
    token: str | None = key(
        default=None, secret=True, doc="An ACL token, sent with every question."
    )
    set_host: bool = key(
        default=False,
        doc="Endpoints read `[tag.]service.service.datacenter.domain` in `Host`; where `Location`"
        " and `Refresh` of a response have it, the client's `Host` is put back.",
    )
    consistency_mode: Consistency = key(default="default", doc="How fresh answers have to be.")
    fail_fast: bool = key(
        default=False, doc="No connection is tried for a second after one could not be had."
    )
    prefer_service_address: bool = key(
        default=True, doc="The address of the service, if it has one, instead of its node's."
    )
    weights: tuple[TagWeightConfig, ...] = key(
        default=(), doc="Of nodes by tag; the highest counts, 1 without any."
    )
    fixed_length_streamed_after_kb: int = key(
        default=32768, minimum=64, doc="The largest answer that is taken."
    )
    tls: ClientTlsConfig | None = key(default=None, doc="TLS to the agent; plain when unset.")
    transfer_metadata: bool = key(
        default=False,
        doc="Keep the metadata of services and nodes, as the state page shows.",
    )

    def check(self) -> Iterable[Problem]:
        """Reports what has no effect, and a token that cannot be sent."""
        if self.health_statuses is not None and not self.use_health_check:
            what = "has no effect without useHealthCheck: true"
            yield Problem(what, "healthStatuses", Severity.WARNING)
        if bad_token(self.token):
            yield Problem("has characters that no header can have", "token")

    def build(self, deps: NamerDeps) -> ConsulNamer:
        """Builds the namer. Raises TlsFailed when the files of `tls` cannot be used."""
        api = Api.at(
            deps.bind,
            self.host,
            self.port,
            tls=deps.tls(self.tls) if self.tls is not None else None,
            headers=token_headers(self.token),
            bounds=Bounds(max_bytes=self.fixed_length_streamed_after_kb * 1024),
            fail_fast=self.fail_fast,
        )
        statuses = frozenset(self.health_statuses or ("passing",))
        nodes = NodeFilter(
            statuses=statuses if self.use_health_check else None,
            prefers_service_address=self.prefer_service_address,
            weights={each.tag: each.weight for each in self.weights},
            keeps_meta=self.transfer_metadata,
        )
        return ConsulNamer(
            deps.prefix,
            Consul(api, self.consistency_mode, nodes),
            deps.resolver,
            deps.metrics.scope(deps.prefix.show()[1:]),
            has_tags=self.include_tag,
            sets_host=self.set_host,
        )
