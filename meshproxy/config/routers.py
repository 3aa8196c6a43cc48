"""Routers of any protocol (linkerd: linkerd/core/.../Router.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from meshproxy.config.announcers import AnnouncerConfig
from meshproxy.config.bases import IdentifierConfig, InterpreterConfig
from meshproxy.config.client import ClientConfig, GlobalClientConfig
from meshproxy.config.decode import Config, Kinded, Problem, Severity, default_of, key
from meshproxy.config.egress import EgressConfig
from meshproxy.config.only_for import misplaced
from meshproxy.config.rolling import LogSettings
from meshproxy.config.servers import ServerConfig
from meshproxy.config.svc import GlobalSvcConfig, SvcConfig
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path

_UNDER_SERVICE: Final = "since Linkerd 1.0 it belongs under service"
_UNDER_CLIENT: Final = "it belongs under client"
_UNDER_SERVERS: Final = "it belongs under servers"
_STREAMS: Final = "removed from Linkerd, see streamAfterContentLengthKB"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingCacheConfig(Config):
    """How many names and clients are cached; 0 is no limit."""

    paths: int = key(default=1000, minimum=0, doc="Logical names, each with its local dtab.")
    trees: int = key(default=1000, minimum=0, doc="Bound trees.")
    bounds: int = key(default=1000, minimum=0, doc="Bound names, each with its residual.")
    clients: int = key(default=1000, minimum=0, doc="Clients with their connections.")
    idle_ttl_secs: int = key(default=600, minimum=0, doc="Seconds without use until eviction.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig(Kinded):
    """Receives requests, names them, and sends them on."""

    category: ClassVar[str] = "protocols"
    offers: ClassVar[str] = "access_log close config explain_limits identify servers sweep"
    kind_key: ClassVar[str] = "protocol"
    speaks: ClassVar[str | None] = None
    """The protocol of its clients and endpoints, `http` or `h2`; None for one of a plugin."""
    former: ClassVar = {
        "baseDtab": "since Linkerd 0.9 it is dtab",
        "timeoutMs": "write client.requestAttemptTimeoutMs and service.totalTimeoutMs",
        "responseClassifier": _UNDER_SERVICE,
        "retries": _UNDER_SERVICE,
        "totalTimeoutMs": _UNDER_SERVICE,
        "failFast": _UNDER_CLIENT,
        "failureAccrual": _UNDER_CLIENT,
        "loadBalancer": _UNDER_CLIENT,
        "hostConnectionPool": _UNDER_CLIENT,
        "requestAttemptTimeoutMs": _UNDER_CLIENT,
        "requeueBudget": _UNDER_CLIENT,
        "requestAuthorizers": _UNDER_CLIENT,
        "forwardClientCert": _UNDER_CLIENT,
        "tls": "it belongs under client or servers",
        "addForwardedHeader": _UNDER_SERVERS,
        "timestampHeader": _UNDER_SERVERS,
        "maxCallDepth": _UNDER_SERVERS,
        "port": _UNDER_SERVERS,
        "ip": _UNDER_SERVERS,
        "clearContext": _UNDER_SERVERS,
        "httpUriInDst": "it belongs under identifier",
        "loggers": "since Linkerd 1.6 it is client.requestAuthorizers",
        "maxChunkKB": _STREAMS,
        "maxRequestKB": _STREAMS,
        "maxResponseKB": _STREAMS,
        "namers": "it belongs at the top of the file",
    }

    label: str | None = key(default=None, doc="Names the router; its protocol when unset.")
    service: SvcConfig = key(default=GlobalSvcConfig(), doc="Settings by logical name.")
    client: ClientConfig = key(default=GlobalClientConfig(), doc="Settings by bound name.")
    dtab: Dtab = key(default=Dtab(()), doc="The delegation table; later entries win.")
    dst_prefix: Path = key(default=Path.of("svc"), doc="The beginning of every name.")
    interpreter: InterpreterConfig | None = key(
        default=None, doc="Binds names; `default` when unset."
    )
    binding_timeout_ms: int = key(
        default=10_000, minimum=0, doc="Limit on binding a name; 503 beyond it."
    )
    egress: EgressConfig | None = key(
        default=None,
        filled=True,
        added=True,
        doc="Who may go where; `{}` is enough to refuse addresses of the machine itself and of its "
        "cloud's metadata. When unset, only our own listeners are refused.",
    )
    binding_cache: BindingCacheConfig = key(default=BindingCacheConfig(), doc="Sizes of caches.")
    originator: bool | None = key(default=None, doc="Shows the gauge `originator` as 1.")
    announcers: tuple[AnnouncerConfig, ...] = key(
        default=(), doc="Publish the servers that have `announce`."
    )
    experimental: bool | None = key(default=None, doc="Accepted, not needed.")
    servers: tuple[ServerConfig, ...] = key(default=(), doc="The listening sockets; at least one.")
    identifier: tuple[IdentifierConfig, ...] | None = key(
        default=None,
        one_or_many=True,
        doc="What gives a request its name, tried in order; `io.l5d.header.token` when unset.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: no servers, no identifiers, keys and kinds of another protocol."""
        if self.speaks is not None:
            yield from misplaced(self, frozenset({self.speaks}))
        if not self.servers:
            yield Problem(f"router {self.name!r} has no servers, write at least one", "servers")
        if self.identifier == ():
            yield Problem("empty identifier list, write one or remove the key", "identifier")
        for number, server in enumerate(self.servers):
            for index, name in enumerate(server.announce or ()):
                if self.announcer_of(name) is None:
                    what = f"has no effect, no announcer of the router covers {name.show()}"
                    yield Problem(what, f"servers[{number}].announce[{index}]", Severity.WARNING)

    @property
    def name(self) -> str:
        """The label, or else the protocol."""
        return self.label or self.kind

    def announcer_of(self, name: Path) -> AnnouncerConfig | None:
        """Returns the announcer that publishes *name*, if there is one."""
        for announcer in self.announcers:
            prefix = announcer.full_prefix()
            if len(name) > len(prefix) and name.starts_with(prefix):
                return announcer
        return None

    def interpreter_or_default(self) -> InterpreterConfig:
        """Returns the configured interpreter, or else `default`."""
        return self.interpreter or default_of(InterpreterConfig, "default")

    def identifiers(self) -> tuple[IdentifierConfig, ...]:
        """Returns the configured identifiers, or else `io.l5d.header.token`."""
        return self.identifier or (default_of(IdentifierConfig, "io.l5d.header.token"),)

    @property
    def access_log(self) -> LogSettings | None:
        """The file that gets a line for each request, if any."""
        return None

    def for_worker(self) -> Self:
        """Returns the part of it that a worker serves; the supervisor does the rest."""
        return self

    def build(self, deps: Any) -> Any:
        """Returns the router, a `protocols.protocol.ServedRouter`, from its `RouterDeps`."""
        raise NotImplementedError
