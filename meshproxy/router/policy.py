"""The configuration of one client, with all settings resolved.

Each rule whose prefix matches replaces whole settings, in file order (linkerd:
router/core/.../Router.scala, linkerd/core/.../{Client,ClientConfig}.scala).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from ssl import SSLContext
from typing import Any, Final, Literal, NamedTuple

from meshproxy.accrual.policies import ConsecutiveFailuresConfig
from meshproxy.balancers.p2c import P2cConfig
from meshproxy.budget import RetryBudget
from meshproxy.client.connector import H2, HTTP
from meshproxy.client.tls import ClientAuth, TlsSettings, present_context
from meshproxy.client.transport import Session, Transport
from meshproxy.config.bases import AccrualConfig, BalancerConfig
from meshproxy.config.client import ClientConfig, ClientSettings
from meshproxy.config.h2 import H2Keys, h2_settings, written_keys
from meshproxy.config.injected_headers import InjectedHeaderConfig
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.config.secrets import basic_credentials, header_value
from meshproxy.config.sockets import (
    HostConnectionPoolConfig,
    SessionConfig,
    SocketOptionsConfig,
)
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.config.watched import Watched
from meshproxy.errors import TlsFailed
from meshproxy.h2.settings import LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path
from meshproxy.router.path_policy import PathPolicy, limit_seconds

CONNECT_SECONDS: Final = 1.0
TLS_CONNECT_SECONDS: Final = 2.0
_OFFERED: Final = {"http": (HTTP,), "h2": (H2,), "auto": (H2, HTTP)}
"""What is offered in ALPN (RFC 7301) by `protocol`, the preferred one first."""
PARENT_SECONDS: Final = 5.0
"""For a parent and its own connecting."""
_AS_WRITTEN: Final = {
    "load_balancer": "balancer",
    "failure_accrual": "accrual",
    "requeue_budget": "requeue_budget",
    "max_requeues": "max_requeues",
    "host_connection_pool": "pool",
    "client_session": "session",
    "socket_options": "socket",
    "forward_client_cert": "forward_client_cert",
    "fail_fast": "fail_fast",
    "endpoint_stats": "endpoint_stats",
    "drop_default_port": "drop_default_port",
    "upstream_proxy": "upstream_proxy",
    "inject_headers": "inject_headers",
    "source_address": "source_address",
}
"""Settings of a client that need no conversion, with their names in a `ClientPolicy`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPolicy:
    """How a client reaches its endpoints; times in seconds, infinite if there is no limit."""

    tls: TlsSettings | None = None
    """None means plain text."""
    server_name: str | None = None
    """Sent as SNI and verified in the certificate."""
    balancer: BalancerConfig = field(default_factory=P2cConfig)
    accrual: AccrualConfig = field(default_factory=lambda: ConsecutiveFailuresConfig(failures=5))
    attempt_seconds: float | None = None
    """None means the router's limit on the first byte of a response."""
    connect_seconds: float = CONNECT_SECONDS
    requeue_budget: RetryBudgetConfig = field(default_factory=RetryBudgetConfig)
    max_requeues: int = 24
    """Requeues of one request, if nothing was delivered."""
    pool: HostConnectionPoolConfig = field(default_factory=HostConnectionPoolConfig)
    session: SessionConfig = field(default_factory=SessionConfig)
    socket: SocketOptionsConfig = field(default_factory=SocketOptionsConfig)
    forward_client_cert: bool = False
    fail_fast: bool = False
    endpoint_stats: bool = False
    drop_default_port: bool = False
    protocol: Literal["http", "h2", "auto"] = "http"
    """What endpoints speak; `auto` is what they choose in the TLS handshake."""
    h2: LocalSettings = field(default_factory=partial(h2_settings, H2Keys()))
    """What endpoints of HTTP/2 are asked for."""
    upstream_proxy: UpstreamProxyConfig | None = None
    """None means that it connects directly; there are parents otherwise."""
    inject_headers: tuple[InjectedHeaderConfig, ...] = ()
    source_address: str | None = None

    def transport(self, limits: Limits) -> Transport:
        """Returns the transport to endpoints, with the router's *limits* as defaults."""
        read, write = self.socket.read_timeout_ms, self.socket.write_timeout_ms
        if self.attempt_seconds is not None:
            seconds = self.attempt_seconds
            limits = replace(limits, attempt=seconds, first_byte=seconds)
        if read is not None:
            seconds = limit_seconds(read)
            limits = replace(
                limits, response_idle=seconds, first_byte=min(limits.first_byte, seconds)
            )
        if write is not None:
            limits = replace(limits, write_timeout=limit_seconds(write))
        waiters = self.pool.max_waiters
        return Transport(
            limits,
            self.connect_seconds if self.connect_seconds < math.inf else limits.first_byte,
            self.tls,
            self.server_name,
            max_size=self.pool.max_size,
            max_waiters=math.inf if waiters is None else waiters,
            session=Session(
                limit_seconds(self.session.idle_time_ms or 0),
                limit_seconds(self.session.life_time_ms or 0),
                limit_seconds(self.pool.idle_time_ms or 0),
                self.pool.min_size,
            ),
            protocol=self.protocol,
            h2=self.h2,
            no_delay=self.socket.no_delay,
            keep_alive=self.socket.keep_alive,
            source_address=self.source_address,
        )


class Unset(NamedTuple):
    """The policies of a router's clients and services where no rule says anything."""

    client: ClientPolicy
    path: PathPolicy


HTTP_UNSET: Final = Unset(ClientPolicy(), PathPolicy())


def files_of(config: ClientConfig, unset: ClientPolicy = HTTP_UNSET.client) -> list[Watched[Any]]:
    """Returns what the files of *config* hold at present: TLS contexts and secrets.

    Clients use it while it is in memory. Raises `TlsFailed` and `ValueError`, naming the file, if
    one cannot be used.
    """
    found: list[Watched[Any]] = []
    written = {settings.protocol for _, settings in config.rules} - {None, "same"}
    offered = [_OFFERED[protocol] for protocol in sorted({unset.protocol, *filter(None, written)})]
    for _, settings in config.rules:
        if settings.tls is not None and settings.tls.enabled:
            made_of = _context_settings(settings.tls)
            found += [present_context(replace(made_of, alpn=alpn)) for alpn in offered]
        secrets = [header_value(one.file) for one in settings.inject_headers or ()]
        if settings.upstream_proxy is not None and settings.upstream_proxy.credentials_file:
            secrets.append(basic_credentials(settings.upstream_proxy.credentials_file))
        for secret in secrets:
            secret.refresh()
            if secret.failure is not None:
                raise ValueError(str(secret.failure)) from secret.failure
        found += secrets
    return found


def client_policy(
    config: ClientConfig, bound_id: Path, unset: ClientPolicy = HTTP_UNSET.client
) -> ClientPolicy:
    """Returns the policy of the client *bound_id*; what no rule says is as in *unset*.

    Raises `TlsFailed` if its `tls` cannot work.
    """
    written: dict[str, Any] = {}
    tls: tuple[ClientTlsConfig, Mapping[str, str]] | None = None
    h2: dict[str, Any] = {}
    for matcher, settings in config.rules:
        captures = matcher.match(bound_id)
        if captures is None:
            continue
        written |= _client_settings(settings)
        h2 |= written_keys(settings)
        if settings.tls is not None:
            tls = settings.tls, captures
    if not (proxy := written.get("upstream_proxy")) or not proxy.addresses:
        written["upstream_proxy"] = None
    seconds = unset.connect_seconds
    if tls is not None and tls[0].enabled:
        written |= _tls_settings(*tls)
        seconds = TLS_CONNECT_SECONDS
    if written["upstream_proxy"] is not None:
        seconds = PARENT_SECONDS
    written.setdefault("connect_seconds", seconds)
    if h2:
        written["h2"] = h2_settings(H2Keys(**h2))
    policy = replace(unset, **written)
    if policy.tls is None:
        return policy
    return replace(policy, tls=replace(policy.tls, alpn=_OFFERED[policy.protocol]))


def client_tls(config: ClientTlsConfig) -> tuple[SSLContext, str | None] | None:
    """Returns the context and the name of a `tls` block outside a client, from its present files.

    Returns None if it is disabled. Raises `TlsFailed` if it cannot work.
    """
    settings, name = client_tls_settings(config)
    return None if settings is None else (present_context(settings).value, name)


def client_context(config: ClientTlsConfig) -> Watched[SSLContext] | None:
    """Returns the context of such a block, which is the same while it is held and no file changes.

    Returns None if it is disabled. Raises `TlsFailed` if it cannot work.
    """
    settings, _ = client_tls_settings(config)
    return None if settings is None else present_context(settings)


def client_tls_settings(config: ClientTlsConfig | None) -> tuple[TlsSettings | None, str | None]:
    """Returns the settings and the name of a `tls` block outside a client; None if it is disabled.

    Raises `TlsFailed` if it cannot work.
    """
    if config is None or not config.enabled:
        return None, None
    written = _tls_settings(config, {})
    return written["tls"], written["server_name"]


def new_budget(config: RetryBudgetConfig) -> RetryBudget:
    """Returns a new budget, for one path's retries or one client's requeues."""
    return RetryBudget(config.ttl_secs, config.min_retries_per_sec, config.percent_can_retry)


def _client_settings(settings: ClientSettings) -> dict[str, Any]:
    written = {
        name: value
        for key, name in _AS_WRITTEN.items()
        if (value := getattr(settings, key)) is not None
    }
    if settings.request_attempt_timeout_ms is not None:
        written["attempt_seconds"] = limit_seconds(settings.request_attempt_timeout_ms)
    if settings.connect_timeout_ms is not None:
        written["connect_seconds"] = limit_seconds(settings.connect_timeout_ms)
    if settings.protocol is not None and settings.protocol != "same":
        written["protocol"] = settings.protocol
    return written


def _tls_settings(config: ClientTlsConfig, captures: Mapping[str, str]) -> dict[str, Any]:
    verify = not config.disable_validation
    name = config.common_name
    if verify and name is None:
        raise TlsFailed("tls is configured with validation but `commonName` is not set")
    if verify and config.trust_certs is not None and config.trust_certs_bundle is not None:
        raise TlsFailed("tls has both `trustCerts` and `trustCertsBundle`, use only the bundle")
    return {
        "tls": _context_settings(config),
        "server_name": None if name is None else PathMatcher.substitute(name, captures),
    }


def _context_settings(config: ClientTlsConfig) -> TlsSettings:
    bundle, own, auth = config.trust_certs_bundle, config.client_auth, None
    if own is not None:
        auth = ClientAuth(own.cert_path, own.key_path, own.intermediate_certs_path)
    return TlsSettings(
        verify=not config.disable_validation,
        trust=(bundle,) if bundle is not None else config.trust_certs or (),
        auth=auth,
        protocols=config.protocols or (),
        allow_common_name=config.allow_common_name,
    )
