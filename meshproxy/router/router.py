"""The Service of a router: identifies a request and calls the service of its name.

linkerd: router/core/.../RoutingFactory.scala
"""

from collections.abc import Sequence
from typing import Final

from meshproxy.client.transport import Connect
from meshproxy.client.upstream_proxy import Resolve
from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.routers import RouterConfig
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.identifiers.identifier import Following, first_of
from meshproxy.metrics.tree import Tree
from meshproxy.naming.namer import Interpreter
from meshproxy.router.binding import Binding
from meshproxy.router.client import Client
from meshproxy.router.egress import Gate
from meshproxy.router.own_listeners import LoopGuard
from meshproxy.router.policy import HTTP_UNSET, Unset

_BY_HOST: Final = {"io.l5d.ingress", "io.l5d.methodAndHost", "io.l5d.static"}
"""Kinds of identifiers that look at Host, or at nothing of the client's choice."""
_HOST: Final = {"host", ":authority"}


class Router:
    """Routes requests of one configured router; servers put their own stacks around it.

    It takes over the clients of *before*, the router with that label before a reload. *unset* is
    what clients and services are like as far as the configuration says nothing.
    Raises TlsFailed if a TLS file cannot be used.
    """

    def __init__(
        self,
        config: RouterConfig,
        interpreter: Interpreter,
        limits: Limits,
        metrics: Tree,
        connect: Connect,
        guard: LoopGuard,
        resolve: Resolve,
        before: "Router | None" = None,
        unset: Unset = HTTP_UNSET,
    ) -> None:
        self.label = config.name
        self.config = config
        self.metrics = metrics
        earlier = before.binding if before is not None else None
        former = before.gate if before is not None else None
        self.gate: Gate | None = None
        if config.egress is not None:
            self.gate = Gate(
                config.egress, metrics, former, names_by_host=_are_by_host(config.identifiers())
            )
        self.binding: Binding = Binding(
            config,
            interpreter,
            limits,
            metrics,
            connect,
            guard,
            resolve,
            earlier,
            self.gate,
            unset,
        )
        self._identifiers = [one.build(config.dst_prefix) for one in config.identifiers()]
        for identifier in self._identifiers:
            if isinstance(identifier, Following):
                identifier.report(metrics.scope("identifier"))
        self.identify = first_of(self._identifiers, config.binding_timeout_ms / 1000)
        """Returns the name of a request. Raises ProxyError; may rewrite the target."""
        if config.originator:
            metrics.gauge("originator", fn=lambda: 1, together="max")

    def clients(self) -> list[Client]:
        """Returns the clients in use at present or recently."""
        return self.binding.clients.values()

    def sweep(self) -> None:
        """Closes what was not used since the last call."""
        self.binding.sweep()

    def close(self, successor: object = None) -> None:
        """Closes all but what running requests use and what *successor* has taken over."""
        self.binding.close(successor.binding if isinstance(successor, Router) else None)
        for identifier in self._identifiers:
            if isinstance(identifier, Following):
                identifier.close()

    def serve(self, request: Request) -> Response:
        """Serves *request*. Raises ProxyError."""
        identify = self.identify
        path = identify(request)
        if self.gate is not None:
            return self.gate.serve(path, request, self.binding.serve)
        if request.local_dtab is None:
            return self.binding.serve(path, request)
        return self.binding.serve((path, request.local_dtab), request)


def _are_by_host(identifiers: Sequence[IdentifierConfig]) -> bool:
    """Returns True if clients choose a name by Host alone."""
    return all(
        one.kind in _BY_HOST or getattr(one, "header", "").lower() in _HOST for one in identifiers
    )
