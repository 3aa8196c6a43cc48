"""The interface between a protocol and the assembly in `runtime/`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from meshproxy.client.upstream_proxy import Resolve
from meshproxy.config.routers import RouterConfig
from meshproxy.http.message import Request
from meshproxy.http.trace import Recorder
from meshproxy.metrics.tree import Tree
from meshproxy.naming.namer import Interpreter
from meshproxy.naming.path import Path
from meshproxy.recent.requests import RecentRequests
from meshproxy.router.client import Client
from meshproxy.router.own_listeners import LoopGuard
from meshproxy.router.stacks import HttpFilter
from meshproxy.server.listener import ServerParameters
from meshproxy.server.log_writer import LogWriter


class ServedRouter(Protocol):
    """A configured router, ready to serve."""

    @property
    def config(self) -> RouterConfig:
        """The configuration that it was built from."""
        ...

    @property
    def identify(self) -> Callable[[Request], Path]:
        """Returns the name of a request. Raises UnidentifiedRequest; may rewrite the target."""
        ...

    @property
    def servers(self) -> Sequence[ServerParameters]:
        """The parameters of each server in the order of the configuration."""
        ...

    @property
    def access_log(self) -> LogWriter | None:
        """The log of all servers; started and closed by the assembly."""
        ...

    def explain_limits(self) -> Iterable[str]:
        """Returns a line for every limit of every server, in bytes and seconds."""
        ...

    def clients(self) -> Sequence[Client]:
        """Returns the clients in use at present or recently."""
        ...

    def sweep(self) -> None:
        """Closes what was not used since the last call."""
        ...

    def close(self, successor: "ServedRouter | None" = None) -> None:
        """Closes all but what running requests use and what *successor* has taken over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterDeps:
    """What a router may use."""

    metrics: Tree
    """Its scope, `rt/<label>`."""
    interpreter: Interpreter
    """Binds its names."""
    guard: LoopGuard
    """Keeps its requests away from our own listeners."""
    resolve: Resolve
    """Looks up the hosts of parent proxies."""
    filters: Callable[[str], Sequence[HttpFilter]]
    """Returns the telemeters' filters for the server of that name, outermost first."""
    recorders: Sequence[Recorder] = ()
    """Telemeters that record spans."""
    recent: RecentRequests = field(default_factory=RecentRequests)
    """Keeps the latest requests to its servers."""
    before: ServedRouter | None = None
    """The router with that label before a reload."""
