"""What endpoints know of the protocol they are reached by, and how their connections are made."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from meshproxy.client.connection_limiter import WaitStats
from meshproxy.client.tls import TlsSettings
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address


class Connections(Protocol):
    """The connections to one address; each protocol is a room of its own (`client/h1`)."""

    @property
    def exchange(self) -> Callable[[Request, float], Response]:
        """Sends a request and returns the response, up to its body, by a monotonic second.

        An attribute, so that the hot path has no frame for it. Raises ProxyError.
        """
        ...

    def tunnel(self, deadline: float) -> Response:
        """Connects in clear for a CONNECT; the response carries the tunnel. Raises ProxyError."""
        ...

    def open_session(self, deadline: float) -> None:
        """Makes a new connection and keeps it, to see if one can be had. Raises ProxyError."""
        ...

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        ...

    def close_idle(self) -> int:
        """Closes the connections that wait for a request, and returns how many there were."""
        ...

    def close(self) -> None:
        """Closes idle connections now, the others when their exchange is over."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """How long connections live, in seconds; infinite where nothing limits."""

    idle_seconds: float = math.inf
    """Without a request (clientSession.idleTimeMs)."""
    life_seconds: float = math.inf
    """Since it was opened, once it has no request (clientSession.lifeTimeMs)."""
    spare_seconds: float = math.inf
    """Without a request, above `keep` connections (hostConnectionPool.idleTimeMs)."""
    keep: int = 0
    """hostConnectionPool.minSize."""

    @property
    def is_limited(self) -> bool:
        """Something has to be closed some day."""
        return min(self.idle_seconds, self.life_seconds, self.spare_seconds) < math.inf


class ExpiryStats:
    """What was closed for its age, in the client's scope of the metrics."""

    __slots__ = ("idle", "lifetime")

    def __init__(self, metrics: Tree) -> None:
        self.idle = metrics.counter("idle")
        self.lifetime = metrics.counter("lifetime")


@dataclass(frozen=True, slots=True)
class Transport:
    """How a client reaches its endpoints; one value for all of them."""

    limits: Limits
    connect_seconds: float
    """For TCP and TLS together."""
    tls: TlsSettings | None = None
    server_name: str | None = None
    """Sent as SNI and looked for in the certificate (commonName)."""
    max_size: int | None = None
    """Connections to one endpoint at a time (hostConnectionPool.maxSize)."""
    max_waiters: float = math.inf
    session: Session = field(default_factory=Session)
    no_delay: bool = True
    keep_alive: bool | None = None


class ConnectStats:
    """What connecting has come to, in the client's scope of the metrics."""

    __slots__ = (
        "cancelled",
        "closes",
        "connects",
        "expiry",
        "failed_ms",
        "latency_ms",
        "open",
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
        self.waits = WaitStats(metrics)
        self.expiry = ExpiryStats(metrics)
        self.open = 0
        metrics.gauge("connections", fn=lambda: self.open)

    def opened(self, seconds: float) -> None:
        """A connection is up after *seconds*."""
        self.open += 1
        self.connects.value += 1
        self.latency_ms.add(seconds * 1000)

    def closed(self) -> None:
        """A connection that was up is not any more."""
        self.open -= 1
        self.closes.value += 1


Connect = Callable[[Address, Transport, ConnectStats], Connections]
"""Makes the connections to one address, none of which is open yet."""
