"""The whole file (linkerd: linkerd/core/.../Linker.scala, linkerd/admin/.../AdminConfig.scala)."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import NamerConfig, TelemeterConfig
from meshproxy.config.decode import (
    Config,
    Ip,
    Port,
    Problem,
    Regex,
    Severity,
    WorkerCount,
    key,
)
from meshproxy.config.routers import RouterConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.tls import ServerTlsConfig

_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSecurityConfig(Config):
    """Which pages of the admin server are open; the others respond with 404."""

    ui_enabled: bool = key(default=True, doc="Pages for people, metrics and the configuration.")
    control_enabled: bool = key(default=True, doc="Pages that change something.")
    diagnostics_enabled: bool = key(default=True, doc="All other pages.")
    path_whitelist: tuple[Regex, ...] = key(default=(), doc="Paths that are open in any case.")
    path_blacklist: tuple[Regex, ...] = key(default=(), doc="Paths that are closed in any case.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminConfig(Config):
    """The admin server."""

    ip: Ip = key(default=Ip("127.0.0.1"), doc="The address to listen on.")
    port: Port = key(default=Port(9990), doc="The port to listen on.")
    socket_options: SocketOptionsConfig | None = key(default=None, doc="Options of its sockets.")
    tls: ServerTlsConfig | None = key(default=None, doc="TLS; plain text when unset.")
    shutdown_grace_ms: int = key(
        default=10_000, minimum=0, doc="How long running requests may take to finish at the end."
    )
    shutdown_delay_ms: int = key(
        default=0,
        minimum=0,
        added=True,
        doc="How long a stop waits, still serving all requests, after `/ready` responds with 503.",
    )
    security: AdminSecurityConfig | None = key(
        default=None, doc="Which pages are open; all when unset."
    )
    http_identifier_port: Port | None = key(
        default=None, doc="A port that responds with the names that a request would get."
    )
    hosts: tuple[str, ...] = key(
        default=(),
        added=True,
        doc="Names under which its pages may be requested, besides addresses, `localhost` and, if "
        "`ip` is not a loopback address, this machine's own.",
    )
    worker_threads: int | None = key(default=None, doc="Accepted, not needed.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: a host name with more than the name, and a key without effect."""
        for index, name in enumerate(self.hosts):
            if not _HOST_NAME(name):
                what = f"{name!r} is not a host name, write it as admin.example.com"
                yield Problem(what, f"hosts[{index}]")
        if self.worker_threads is not None:
            what = "has no effect, there are no threads to count"
            yield Problem(what, "workerThreads", Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageConfig(Config):
    """Usage reports to the makers of Linkerd; meshproxy sends none."""

    org_id: str | None = key(default=None, doc="Accepted, not needed.")
    enabled: bool = key(default=True, doc="Accepted; nothing is ever sent.")

    def check(self) -> Iterable[Problem]:
        """Yields a warning, since nothing is reported."""
        if self.enabled:
            what = "has no effect, meshproxy reports nothing to anyone"
            yield Problem(what, severity=Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig(Config):
    """How host names are looked up; an addition of meshproxy, absent in Linkerd."""

    nameservers: tuple[str, ...] = key(
        default=(), doc="`address`, `address:port` or `[v6]:port`; resolv.conf's when unset."
    )
    timeout_ms: int | None = key(
        default=None, minimum=1, doc="Limit on one query; resolv.conf's, else 2000 when unset."
    )
    total_timeout_ms: int = key(default=5000, minimum=1, doc="Limit on a whole resolution.")
    attempts: int | None = key(
        default=None, minimum=1, maximum=10, doc="Rounds of queries; resolv.conf's when unset."
    )
    min_ttl_secs: int = key(default=5, minimum=1, doc="Answers are kept at least this long.")
    max_ttl_secs: int = key(default=300, minimum=1, doc="Answers are kept at most this long.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: a name server that is not an address, and bounds out of order."""
        for index, text in enumerate(self.nameservers):
            if not _is_address(text):
                what = f"{text!r} is not an address, write it as 10.0.0.2 or 10.0.0.2:53"
                yield Problem(what, f"nameservers[{index}]")
        if self.min_ttl_secs > self.max_ttl_secs:
            what = f"{self.min_ttl_secs} is more than maxTtlSecs, {self.max_ttl_secs}"
            yield Problem(what, "minTtlSecs")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") != 1:
        host, port = text, ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return port == "" or (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkerConfig(Config):
    """A configuration file."""

    former: ClassVar = {
        "tracers": "since Linkerd 0.9 it is telemetry with io.l5d.zipkin",
        "telemeters": "it is telemetry",
        "dtab": "it belongs under routers",
        "baseDtab": "it is dtab and belongs under routers",
        "client": "it belongs under routers",
        "service": "it belongs under routers",
        "servers": "it belongs under routers",
        "protocol": "it belongs under routers",
        "interpreter": "it belongs under routers",
    }

    admin: AdminConfig = key(default=AdminConfig(), doc="The admin server, which always exists.")
    usage: UsageConfig = key(default=UsageConfig(), doc="Accepted; nothing is ever sent.")
    namers: tuple[NamerConfig, ...] = key(
        default=(), doc="Service discoveries; the last one written is asked first."
    )
    telemetry: tuple[TelemeterConfig, ...] = key(
        default=(), doc="Exporters of metrics; `/admin/metrics.json` is always there."
    )
    routers: tuple[RouterConfig, ...] = key(doc="The routers; at least one.")
    dns: DnsConfig = key(default=DnsConfig(), added=True, doc="How host names are looked up.")
    workers: WorkerCount | None = key(
        default=None,
        added=True,
        doc="Number of worker processes, run by a supervisor; `auto` is one for each CPU. "
        "When unset, a single process serves.",
    )
