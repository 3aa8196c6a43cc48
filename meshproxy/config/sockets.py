"""Sockets, sessions and pools (linkerd: linkerd/core/.../SocketOptionsConfig.scala)."""

from dataclasses import dataclass

from meshproxy.config.decode import Config, key


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptionsConfig(Config):
    """Options of a socket."""

    no_delay: bool = key(default=True, doc="TCP_NODELAY.")
    reuse_addr: bool = key(default=True, doc="SO_REUSEADDR.")
    reuse_port: bool = key(default=False, doc="SO_REUSEPORT.")
    read_timeout_ms: int | None = key(
        default=None, minimum=0, quoted=True, doc="Longest pause while reading."
    )
    write_timeout_ms: int | None = key(
        default=None, minimum=0, quoted=True, doc="Longest time for the peer to accept a byte."
    )
    keep_alive: bool | None = key(default=None, doc="SO_KEEPALIVE; the system's own when unset.")
    backlog: int | None = key(default=None, minimum=1, doc="Listen backlog; servers only.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig(Config):
    """How long a connection may live."""

    idle_time_ms: int | None = key(
        default=None, minimum=0, quoted=True, doc="Close after this long without a request."
    )
    life_time_ms: int | None = key(
        default=None, minimum=0, quoted=True, doc="Close this long after it was opened."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConnectionPoolConfig(Config):
    """The pool of connections to one endpoint."""

    min_size: int = key(default=0, minimum=0, quoted=True, doc="Connections kept.")
    max_size: int | None = key(
        default=None, minimum=1, quoted=True, doc="Most connections; unlimited when unset."
    )
    idle_time_ms: int | None = key(
        default=None, minimum=0, quoted=True, doc="Close idle connections above `minSize`."
    )
    max_waiters: int | None = key(
        default=None, minimum=0, quoted=True, doc="Most requests that may wait for a connection."
    )
