"""Servers of a router (linkerd: linkerd/core/.../Server.scala, .../HttpConfig.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from meshproxy.config.bases import LabelerConfig
from meshproxy.config.decode import Config, Ip, Port, Problem, default_of, key
from meshproxy.config.sockets import SessionConfig, SocketOptionsConfig
from meshproxy.config.tls import ServerTlsConfig
from meshproxy.http.headers import TOKEN
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedHeaderConfig(Config):
    """Adds a `Forwarded` header (RFC 7239)."""

    by: LabelerConfig | None = key(
        default=None, doc="How our own address appears; `requestRandom` when unset."
    )
    for_: LabelerConfig | None = key(
        default=None, doc="How the client's address appears; `requestRandom` when unset."
    )

    def labelers(self, router: str) -> tuple[Any, Any]:
        """Those for `by` and `for`, on a server of the router labelled *router*."""
        unset = default_of(LabelerConfig, "requestRandom")
        return (self.by or unset).build(router), (self.for_ or unset).build(router)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServerConfig(Config):
    """A listening socket."""

    former: ClassVar = {
        "engine": "removed in Linkerd 1.3, remove it",
        "idleTimeMs": "it belongs under serverSession",
        "responseClassifier": "it belongs under service of the router",
    }

    port: Port = key(default=Port(4140), doc="The port to listen on.")
    ip: Ip = key(default=Ip("127.0.0.1"), doc="The address to listen on.")
    tls: ServerTlsConfig | None = key(default=None, doc="TLS; plain text when unset.")
    label: str | None = key(default=None, doc="Names the server in the log.")
    max_concurrent_requests: int | None = key(
        default=None, minimum=0, doc="Requests in progress; more are refused at once with 503."
    )
    announce: tuple[Path, ...] | None = key(
        default=None, unsupported=True, doc="Names to publish the server under."
    )
    clear_context: bool = key(
        default=False, doc="Ignore and remove `l5d-` headers of clients, and send them none."
    )
    socket_options: SocketOptionsConfig | None = key(default=None, doc="Options of its sockets.")
    server_session: SessionConfig | None = key(
        default=None, doc="How long a connection may live; 600 s without a request when unset."
    )
    timeout_ms: int | None = key(default=None, doc="Limit on a whole request.")
    add_forwarded_header: ForwardedHeaderConfig | None = key(
        default=None, doc="Tells endpoints where a request came from; `{}` is enough."
    )
    timestamp_header: str | None = key(
        default=None, doc="Header that gets the time of arrival, in ms since 1970."
    )
    max_call_depth: int = key(
        default=1000, doc="Most proxies a request may have passed, counted in Via."
    )
    header_read_timeout_ms: int = key(
        default=10_000,
        minimum=0,
        added=True,
        doc="Time to receive a whole request head, from its first byte; 0 is no limit.",
    )
    max_connections: int = key(
        default=10_000,
        minimum=0,
        added=True,
        doc="Open connections; beyond it none is accepted. Never above 80 % of the descriptors.",
    )
    enforce_deadlines: bool = key(
        default=False,
        added=True,
        doc="Keep to the `l5d-ctx-deadline` of a request: 503 without sending it once that has "
        "passed, and none of its attempts lasts longer. Else it is counted and passed on only.",
    )
    connect_ports: tuple[Port, ...] = key(
        default=(Port(443),),
        added=True,
        doc="Ports to which CONNECT may open a tunnel; an empty list refuses every CONNECT.",
    )

    def check(self) -> Iterable[Problem]:
        """The timestamp goes into something that can be a header."""
        name = self.timestamp_header
        if name is not None and not TOKEN(name.encode()):
            yield Problem(f"{name!r} cannot be the name of a header", "timestampHeader")
