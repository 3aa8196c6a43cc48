"""The interface between an endpoint and its protocol, and how its connections are made."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from meshproxy.client.connection_limiter import WaitStats
from meshproxy.client.tls import TlsSettings
from meshproxy.client.upstream_proxy import UpstreamProxy
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address


class ConnectionCounts(NamedTuple):
    """How many connections to an endpoint there are now."""

    open: int
    """All of them, tunnels too."""
    idle: int
    """Those that carry no request."""
    streams: int | None
    """Requests on those of HTTP/2; None where that is not spoken."""

    def describe(self) -> dict[str, int | None]:
        """Returns them as JSON has them."""
        return {"connections": self.open, "idle": self.idle, "streams": self.streams}


class Connections(Protocol):
    """The connections to one address; each protocol has a room of its own (`client/h1`)."""

    @property
    def exchange(self) -> Callable[[Request, float], Response]:
        """Sends a request by a monotonic second and returns the response, with its body unread.

        An attribute, so that the hot path has no frame for it. Raises ProxyError.
        """
        ...

    def tunnel(self, request: Request, deadline: float) -> Response:
        """Connects in plain text for a CONNECT; the response has the tunnel. Raises ProxyError."""
        ...

    def open_session(self, deadline: float) -> None:
        """Makes a new connection and keeps it, to test if one can be made. Raises ProxyError."""
        ...

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        ...

    @property
    def connection_counts(self) -> ConnectionCounts:
        """How many there are."""
        ...

    @property
    def is_current(self) -> bool:
        """False if files of its TLS have changed since it was made."""
        ...

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        ...

    def close(self) -> None:
        """Closes idle connections now, the others after their exchange."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """How long connections live, in seconds; infinity means no limit."""

    idle_seconds: float = math.inf
    """Without a request (clientSession.idleTimeMs)."""
    life_seconds: float = math.inf
    """Since connecting, applied when idle (clientSession.lifeTimeMs)."""
    spare_seconds: float = math.inf
    """Without a request, for connections beyond `keep` (hostConnectionPool.idleTimeMs)."""
    keep: int = 0
    """hostConnectionPool.minSize."""

    @property
    def is_limited(self) -> bool:
        """True if connections may have to be closed for their age."""
        return min(self.idle_seconds, self.life_seconds, self.spare_seconds) < math.inf


class ExpiryStats:
    """Counters of what ended connections, in the client's scope of the metrics."""

    __slots__ = ("_goaways", "idle", "lifetime", "unanswered", "unended")

    def __init__(self, metrics: Tree) -> None:
        self.idle = metrics.counter("idle")
        self.lifetime = metrics.counter("lifetime")
        self.unanswered = metrics.counter("unanswered_pings")
        self.unended = metrics.counter("stream", "unended")
        self._goaways = metrics.scope("goaways")

    def gone_away(self, side: str, code: int) -> None:
        """Counts a GOAWAY with an error, sent by *side*: `local` is this one, or `remote`."""
        self._goaways.counter(side, ErrorCode.name_of(code)).incr()


@dataclass(frozen=True, slots=True)
class Transport:
    """How a client reaches its endpoints; all of them share it."""

    limits: Limits
    connect_seconds: float
    """Limit on TCP connect and TLS handshake together."""
    tls: TlsSettings | None = None
    server_name: str | None = None
    """Sent as SNI and verified in the certificate (commonName)."""
    max_size: int | None = None
    """Most connections to one endpoint at a time (hostConnectionPool.maxSize)."""
    max_waiters: float = math.inf
    session: Session = field(default_factory=Session)
    no_delay: bool = True
    keep_alive: bool | None = None
    protocol: str = "http"
    """What the endpoint speaks: `http`, `h2` or `auto`."""
    h2: LocalSettings = field(default_factory=LocalSettings)
    """What endpoints of HTTP/2 are asked for."""
    pings: KeepAlive = field(default_factory=KeepAlive)
    """When endpoints of HTTP/2 are asked if they are still there."""
    source_address: str | None = None
    """The address of this machine to connect from; None leaves it to the system."""
    proxy: UpstreamProxy | None = None
    """The parents through which connections are made; None means directly."""


class ConnectStats:
    """Statistics of connecting, in the client's scope of the metrics."""

    __slots__ = (
        "cancelled",
        "closes",
        "connects",
        "expiry",
        "failed_ms",
        "latency_ms",
        "open",
        "received",
        "sent",
        "stale",
        "waits",
    )

    def __init__(self, metrics: Tree) -> None:
        self.connects = metrics.counter("connects")
        self.closes = metrics.counter("closes")
        self.cancelled = metrics.counter("cancelled_connects")
        self.latency_ms = metrics.stat("connect_latency_ms")
        self.failed_ms = metrics.stat("failed_connect_latency_ms")
        self.stale = metrics.counter("stale_connections")
        self.received = metrics.counter("received_bytes")
        self.sent = metrics.counter("sent_bytes")
        self.waits = WaitStats(metrics)
        self.expiry = ExpiryStats(metrics)
        self.open = 0
        metrics.gauge("connections", fn=lambda: self.open)

    def opened(self, seconds: float) -> None:
        """Counts a connection that took *seconds* to open."""
        self.open += 1
        self.connects.value += 1
        self.latency_ms.add(seconds * 1000)

    def closed(self) -> None:
        """Counts the end of an open connection."""
        self.open -= 1
        self.closes.value += 1


Connect = Callable[[Address, Transport, ConnectStats], Connections]
"""Makes the connections to an address; none of them is open yet."""
