"""Routers (linkerd: linkerd/core/.../Router.scala, protocol/http/.../HttpConfig.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from meshproxy.config.bases import (
    AnnouncerConfig,
    IdentifierConfig,
    InterpreterConfig,
    TracePropagatorConfig,
)
from meshproxy.config.client import ClientConfig, GlobalClientConfig
from meshproxy.config.decode import Config, Kinded, Problem, default_of, key
from meshproxy.config.rolling import roll_policy
from meshproxy.config.servers import HttpServerConfig
from meshproxy.config.svc import GlobalSvcConfig, SvcConfig
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path

_UNDER_SERVICE: Final = "since Linkerd 1.0 it belongs under service"
_UNDER_CLIENT: Final = "it belongs under client"
_UNDER_SERVERS: Final = "it belongs under servers"
_STREAMS: Final = "removed from Linkerd, see streamAfterContentLengthKB"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingCacheConfig(Config):
    """How many names and clients are kept; 0 is no limit."""

    paths: int = key(default=1000, minimum=0, doc="Logical names, each with its local dtab.")
    trees: int = key(default=1000, minimum=0, doc="Bound trees.")
    bounds: int = key(default=1000, minimum=0, doc="Bound names, each with its residual.")
    clients: int = key(default=1000, minimum=0, doc="Clients with their connections.")
    idle_ttl_secs: int = key(default=600, minimum=0, doc="Seconds without use until it is closed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTracePropagatorConfig(TracePropagatorConfig):
    """Traces in `l5d-ctx-trace`, sampling by `l5d-sample`."""

    kind: ClassVar[str] = "io.l5d.default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig(Kinded):
    """Takes requests, names them, and sends them on."""

    category: ClassVar[str] = "protocols"
    kind_key: ClassVar[str] = "protocol"
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
    dtab: Dtab = key(default=Dtab(()), doc="How names become others; later entries win.")
    dst_prefix: Path = key(default=Path.of("svc"), doc="What every name begins with.")
    interpreter: InterpreterConfig | None = key(
        default=None, doc="Who binds names; `default` when unset."
    )
    binding_timeout_ms: int = key(
        default=10_000, minimum=0, doc="Limit on binding a name; 503 beyond it."
    )
    binding_cache: BindingCacheConfig = key(default=BindingCacheConfig(), doc="Sizes of caches.")
    originator: bool | None = key(default=None, doc="Shows the gauge `originator` as 1.")
    announcers: tuple[AnnouncerConfig, ...] | None = key(
        default=None, unsupported=True, doc="Publish the addresses of servers."
    )
    experimental: bool | None = key(default=None, doc="Accepted, not needed.")

    @property
    def name(self) -> str:
        """The label, else the protocol."""
        return self.label or self.kind

    def interpreter_or_default(self) -> InterpreterConfig:
        """The interpreter that is written, else `default`."""
        return self.interpreter or default_of(InterpreterConfig, "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRouterConfig(RouterConfig):
    """A router of HTTP/1.1."""

    kind: ClassVar[str] = "http"

    servers: tuple[HttpServerConfig, ...] = key(default=(), doc="Where it listens; at least one.")
    identifier: tuple[IdentifierConfig, ...] | None = key(
        default=None,
        one_or_many=True,
        doc="How a request gets its name, tried in order; `io.l5d.header.token` when unset.",
    )
    http_access_log: str | None = key(
        default=None, doc="File that gets a line for each request of a client."
    )
    http_access_log_roll_policy: str = key(
        default="never",
        doc="When a new file is begun: `never`, `hourly`, `daily`, `weekly(n)` with 1 for Sunday, "
        "`sighup`, or a size such as `10.megabytes`.",
    )
    http_access_log_append: bool = key(
        default=True, doc="Go on with the file that is there; else it is emptied at start."
    )
    http_access_log_rotate_count: int = key(default=-1, doc="Rolled files kept; -1 is all.")
    http_access_log_format: Literal["combined", "json"] = key(
        default="combined",
        added=True,
        doc="What a line is: Linkerd's combined format, or a JSON object.",
    )
    stream_after_content_length_kb: int = key(
        default=5, minimum=0, doc="Largest body that is kept for a retry."
    )
    streaming_enabled: bool = key(default=True, only=(True,), doc="Bodies pass as they come.")
    max_headers_kb: int = key(
        default=8, minimum=0, doc="Most bytes of header fields; 431 beyond it."
    )
    max_initial_line_kb: int = key(
        default=4, minimum=0, doc="Longest request or status line; 414 beyond it."
    )
    max_err_response_kb: int = key(default=5120, minimum=0, doc="Largest body of errors made here.")
    compression_level: int = key(
        default=-1,
        minimum=-1,
        maximum=9,
        doc="Compresses textual responses to clients that take gzip: -1 is zlib's usual level, "
        "1 to 9 are faster to smaller, 0 is off.",
    )
    trace_propagator: TracePropagatorConfig | None = key(
        default=None, doc="How traces travel; `io.l5d.default` when unset."
    )
    max_header_count: int = key(
        default=128, minimum=0, added=True, doc="Most header fields; 431 beyond it, 0 is no limit."
    )
    max_request_body_kb: int | None = key(
        default=None, minimum=0, added=True, doc="Largest request body; 413 beyond it."
    )

    def check(self) -> Iterable[Problem]:
        """There are servers and identifiers, and the roll policy is one."""
        if not self.servers:
            yield Problem(f"router {self.name!r} has no servers, write at least one", "servers")
        if self.identifier == ():
            yield Problem("empty identifier list, write one or remove the key", "identifier")
        try:
            roll_policy(self.http_access_log_roll_policy)
        except ValueError as error:
            yield Problem(str(error), "httpAccessLogRollPolicy")

    def identifiers(self) -> tuple[IdentifierConfig, ...]:
        """The identifiers that are written, else `io.l5d.header.token`."""
        return self.identifier or (default_of(IdentifierConfig, "io.l5d.header.token"),)
