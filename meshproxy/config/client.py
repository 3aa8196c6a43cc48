"""Settings of clients by bound name (linkerd: linkerd/core/.../Client.scala)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from meshproxy.config.bases import AccrualConfig, BalancerConfig, RequestAuthorizerConfig
from meshproxy.config.decode import Ip, Kinded, Problem, Severity, key
from meshproxy.config.h2 import H2Keys
from meshproxy.config.injected_headers import InjectedHeaderConfig, repeated_names
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.config.sockets import (
    HostConnectionPoolConfig,
    SessionConfig,
    SocketOptionsConfig,
)
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.naming.matcher import PathMatcher

EVERY_NAME: Final = PathMatcher.parse("/")
_SPEAKS: Final = {"same": (), "http": ("http",), "h2": ("h2",), "auto": ("http", "h2")}
_HOST_FOLLOWS: Final = re.compile(r"[$*]/(?:io\.buoyant\.rinet|inet|fixedinet)/")
_VARIABLE_OR_CAPITALS: Final = re.compile(r"\{[^{}]*\}|[A-Z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings(H2Keys):
    """The settings of a client; an unset key differs from one with the default value."""

    former: ClassVar = {
        "budget": "its keys belong directly under requeueBudget",
        "timeoutMs": "it is requestAttemptTimeoutMs",
        "totalTimeoutMs": "it belongs under service",
        "retries": "it belongs under service",
        "responseClassifier": "it belongs under service",
        "loggers": "since Linkerd 1.6 it is requestAuthorizers",
    }

    tls: ClientTlsConfig | None = key(default=None, doc="TLS; plain text when unset.")
    protocol: Literal["same", "http", "h2", "auto"] | None = key(
        default=None,
        added=True,
        doc="What endpoints speak: `same` as the router's protocol, the default; `http`; `h2`; or "
        "`auto`, what they choose in the TLS handshake, and HTTP/1.1 in plain text.",
    )
    load_balancer: BalancerConfig | None = key(default=None, doc="`p2c` when unset.")
    host_connection_pool: HostConnectionPoolConfig | None = key(
        default=None, doc="The connections to each endpoint."
    )
    fail_fast: bool | None = key(
        default=None,
        doc="Mark an endpoint dead when a connection to it fails, until one can be made again.",
    )
    endpoint_stats: bool | None = key(
        default=None,
        added=True,
        doc="Count the attempts of each endpoint too, below `client/<id>/endpoint/<address>`.",
    )
    failure_accrual: AccrualConfig | None = key(
        default=None, doc="`io.l5d.consecutiveFailures` with 5 when unset."
    )
    request_attempt_timeout_ms: int | None = key(
        default=None, doc="Limit on one attempt; 0 is none, 300 s when unset."
    )
    requeue_budget: RetryBudgetConfig | None = key(
        default=None, doc="How many attempts are allowed after a connection failed."
    )
    max_requeues: int | None = key(
        default=None,
        minimum=0,
        added=True,
        doc="Most such attempts of one request, each at another endpoint; 24 when unset.",
    )
    client_session: SessionConfig | None = key(default=None, doc="How long a connection may live.")
    socket_options: SocketOptionsConfig | None = key(default=None, doc="Options of its sockets.")
    request_authorizers: tuple[RequestAuthorizerConfig, ...] | None = key(
        default=None, unsupported=True, doc="Asks other services if a request may pass."
    )
    forward_client_cert: bool | None = key(
        default=None,
        doc="Pass on the client's certificate in `x-forwarded-client-cert`; else it is removed.",
    )
    drop_default_port: bool | None = key(
        default=None,
        added=True,
        doc="Omit a port that is the scheme's default, 443 with `tls` and otherwise 80, from Host.",
    )
    connect_timeout_ms: int | None = key(
        default=None,
        minimum=0,
        added=True,
        doc="Limit on connecting; when unset 1000, with TLS 2000, and 5000 for each parent of "
        "`upstreamProxy`; 0 is none.",
    )
    upstream_proxy: UpstreamProxyConfig | None = key(
        default=None, filled=True, added=True, doc="Parent proxies; connects directly when unset."
    )
    inject_headers: tuple[InjectedHeaderConfig, ...] | None = key(
        default=None,
        filled=True,
        added=True,
        whole=repeated_names,
        doc="Headers to add, such as credentials that clients must not see.",
    )
    source_address: Ip | None = key(
        default=None,
        filled=True,
        added=True,
        doc="The address of this machine to connect from; endpoints of the other family are then "
        "out of reach.",
    )

    def also_speaks(self) -> Iterable[str]:
        """Returns what `protocol` says of endpoints, beside the router's own."""
        return _SPEAKS[self.protocol or "same"]


def _unknown_variables(settings: ClientSettings, prefix: PathMatcher) -> Iterable[Problem]:
    template = settings.tls.common_name if settings.tls else None
    for name in prefix.unknown_in(template or ""):
        what = f"{{{name}}} is not captured by the prefix and stays as written"
        yield Problem(what, "tls.commonName", Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientItem(ClientSettings):
    """Settings of the clients under a prefix."""

    prefix: PathMatcher = key(doc="Bound names it applies to; `*` and `{name}` match a segment.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: a ratio out of bounds, variables that the prefix does not capture."""
        yield from ClientSettings.check(self)
        yield from _unknown_variables(self, self.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig(Kinded):
    """Settings of clients."""

    category: ClassVar[str] = "clients"
    default_kind: ClassVar[str | None] = "io.l5d.global"

    @property
    def rules(self) -> tuple[tuple[PathMatcher, ClientSettings], ...]:
        """The settings in order, each with the names it applies to; later ones win key by key."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalClientConfig(ClientSettings, ClientConfig):
    """The same settings for every client."""

    kind: ClassVar[str] = "io.l5d.global"
    former: ClassVar = {
        **ClientSettings.former,
        "configs": "it needs `kind: io.l5d.static`",
        "prefix": "it needs `kind: io.l5d.static` and a list of configs",
    }

    def check(self) -> Iterable[Problem]:
        """Yields problems: a ratio out of bounds, variables, since nothing is captured."""
        yield from ClientSettings.check(self)
        yield from _unknown_variables(self, EVERY_NAME)

    @property
    def rules(self) -> tuple[tuple[PathMatcher, ClientSettings], ...]:
        """One rule that matches every name."""
        return ((EVERY_NAME, self),)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticClientConfig(ClientConfig):
    """Settings by prefix; of those that match, later ones win key by key."""

    kind: ClassVar[str] = "io.l5d.static"

    configs: tuple[ClientItem, ...] = key(default=(), doc="The settings, in order.")

    def also_speaks(self) -> Iterable[str]:
        """Returns what any of them says, since later ones win key by key."""
        return {one for item in self.configs for one in item.also_speaks()}

    @property
    def rules(self) -> tuple[tuple[PathMatcher, ClientSettings], ...]:
        """One rule per item."""
        return tuple((as_ids_are_spelled(item.prefix), item) for item in self.configs)


def as_ids_are_spelled(prefix: PathMatcher) -> PathMatcher:
    """Returns *prefix* with the host in lower case, as in the ids of hosts."""
    text = prefix.text
    if not (host := _HOST_FOLLOWS.search(text)):
        return prefix
    at = host.end()
    lower = _VARIABLE_OR_CAPITALS.sub(
        lambda part: part[0] if part[0].startswith("{") else part[0].lower(), text[at:]
    )
    return PathMatcher.parse(text[:at] + lower)
