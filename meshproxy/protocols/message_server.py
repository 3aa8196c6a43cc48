"""Servers of HTTP/1 and HTTP/2.

linkerd: linkerd/core/.../Server.scala, .../HttpConfig.scala, .../H2Config.scala
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from meshproxy.config.bases import LabelerConfig
from meshproxy.config.decode import Config, Port, Problem, default_of, key
from meshproxy.config.servers import ServerConfig
from meshproxy.config.sockets import SessionConfig, SocketOptionsConfig
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.forwarded import AddForwarded
from meshproxy.filters.trace import ServerSpan
from meshproxy.http.headers import TOKEN
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.router.stacks import HttpFilter, server_stack


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
        """Returns the labelers of `by` and `for`, for a server of the router labelled *router*."""
        unset = default_of(LabelerConfig, "requestRandom")
        return (self.by or unset).build(router), (self.for_ or unset).build(router)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageServerConfig(ServerConfig):
    """A listening socket of an `http` or an `h2` router."""

    speaks: ClassVar[str] = "http"
    former: ClassVar = {
        "engine": "removed in Linkerd 1.3, remove it",
        "idleTimeMs": "it belongs under serverSession",
        "responseClassifier": "it belongs under service of the router",
    }

    max_concurrent_requests: int | None = key(
        default=None, minimum=0, doc="Most requests in progress; more are refused at once with 503."
    )
    server_session: SessionConfig | None = key(
        default=None, doc="How long a connection may live; 600 s without a request when unset."
    )
    timeout_ms: int | None = key(default=None, doc="Limit on a whole request.")
    add_forwarded_header: ForwardedHeaderConfig | None = key(
        default=None, doc="Tells endpoints where a request came from; `{}` is enough."
    )
    add_x_forwarded_for: bool = key(
        default=False,
        added=True,
        doc="Append the client's address to `X-Forwarded-For`; what a client writes there stays in "
        "front, so only the last address is known to be true.",
    )
    timestamp_header: str | None = key(
        default=None,
        only_for="http",
        doc="Header for the time of arrival, in ms since 1970.",
    )
    protocol: Literal["same", "http", "h2", "auto"] = key(
        default="same",
        added=True,
        doc="What clients may speak: `same` as the router's protocol, `http`, `h2`, or `auto`: "
        "either, by ALPN under TLS and else by the first bytes.",
    )
    max_concurrent_streams_per_connection: int = key(
        default=1000,
        minimum=1,
        only_for="h2",
        doc="Most requests in progress on a connection; more are refused with REFUSED_STREAM.",
    )
    grpc_web: bool = key(
        default=False,
        only_for="h2",
        added=True,
        doc="Translate gRPC-Web, as browsers speak it, to gRPC and back. Over HTTP/1.1 too with "
        "`protocol: auto`. Preflights of calls across origins (CORS) are passed on, not answered.",
    )
    max_call_depth: int = key(
        default=1000, doc="Most proxies that a request may have passed, counted in Via."
    )
    header_read_timeout_ms: int = key(
        default=10_000,
        minimum=0,
        added=True,
        doc="Time to receive a whole request head, from its first byte; 0 is no limit.",
    )
    enforce_deadlines: bool = key(
        default=False,
        added=True,
        doc="Enforce the `l5d-ctx-deadline` of a request: 503 without sending it once that has "
        "passed, and no attempt lasts longer. Otherwise it is only counted and passed on.",
    )
    connect_ports: tuple[Port, ...] = key(
        default=(Port(443),),
        added=True,
        doc="Ports to which CONNECT may open a tunnel; an empty list refuses every CONNECT.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: a ratio out of bounds, a timestamp whose name cannot be a header's."""
        yield from ServerConfig.check(self)
        name = self.timestamp_header
        if name is not None and not TOKEN(name.encode()):
            yield Problem(f"{name!r} cannot be the name of a header", "timestampHeader")

    @property
    def spoken(self) -> str:
        """What clients may speak: `http`, `h2` or `auto`."""
        return self.speaks if self.protocol == "same" else self.protocol

    def also_speaks(self) -> Iterable[str]:
        """Returns what `protocol` says of clients, beside the router's own."""
        return {"auto": ("http", "h2")}.get(self.protocol, (self.spoken,))

    def limits(self, messages: Limits) -> Limits:
        """Returns *messages*, the limits of the router, with those of this server's connections."""
        session = self.server_session or SessionConfig()
        socket = self.socket_options or SocketOptionsConfig()
        return replace(
            messages,
            head_seconds=_seconds(self.header_read_timeout_ms, messages.head_seconds),
            idle_seconds=_seconds(session.idle_time_ms, messages.idle_seconds),
            life_seconds=_seconds(session.life_time_ms, messages.life_seconds),
            read_idle=_seconds(socket.read_timeout_ms, messages.read_idle),
            write_timeout=_seconds(socket.write_timeout_ms, messages.write_timeout),
            connect_ports=frozenset(map(int, self.connect_ports)),
        )

    def filters(
        self,
        router: str,
        limits: Limits,
        metrics: Tree,
        trace: ServerSpan,
        compression_level: int,
        log: AccessLog | None,
        recent: RecentRequests,
        *,
        grpc_status: bool,
    ) -> list[HttpFilter]:
        """Returns the filters around the router labelled *router*, outermost first."""
        forwarded = None
        if self.add_forwarded_header is not None:
            by, for_ = self.add_forwarded_header.labelers(router)
            forwarded = AddForwarded(by, for_, secure=self.tls is not None)
        return server_stack(
            limits,
            self.max_call_depth,
            metrics,
            trace,
            clear_context=self.clear_context,
            max_concurrent=self.max_concurrent_requests or None,
            timeout_seconds=max(self.timeout_ms or 0, 0) / 1000 or math.inf,
            enforce_deadlines=self.enforce_deadlines,
            forwarded=forwarded,
            x_forwarded_for=self.add_x_forwarded_for,
            timestamp_header=self.timestamp_header,
            compression_level=compression_level,
            access_log=log,
            grpc_status=None if self.spoken == "http" else grpc_status,
            grpc_web=self.grpc_web,
            recent=recent,
            router=router,
            server=f"{self.ip}/{self.port}",
        )


def _seconds(milliseconds: int | None, default: float) -> float:
    return default if milliseconds is None else milliseconds / 1000 or math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServerConfig(MessageServerConfig):
    """A listening socket of an `http` router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class H2ServerConfig(MessageServerConfig):
    """A listening socket of an `h2` router."""

    speaks: ClassVar[str] = "h2"

    port: Port = key(default=Port(4142), doc="The port to listen on.")
