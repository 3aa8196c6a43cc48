"""A client: the endpoints of one bound id, chosen by a balancer and shared by all names.

finagle: client/StackClient.scala. Follows the live address set; an address that stays keeps its
load, breaker and connections.
"""

import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import NamedTuple

from meshproxy.balancers.weight_classes import WeightClasses
from meshproxy.client.endpoint import Endpoint
from meshproxy.client.transport import Connect
from meshproxy.errors import (
    BindingFailed,
    BindingTimedOut,
    ConnectFailed,
    NoHosts,
    ServiceTimedOut,
    TimedOutBinding,
    TlsFailed,
)
from meshproxy.filters.client_stats import ClientStats
from meshproxy.filters.diagnostics import METHODS, Diagnostics
from meshproxy.filters.host import RewriteHost
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import DNS, spend
from meshproxy.log_once import LogOnce
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    AddrFailed,
    AddrPending,
    settled,
)
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.path import Path
from meshproxy.router import stacks
from meshproxy.router.address_filter import AddressFilter, Policies
from meshproxy.router.client_health import measure, note_change
from meshproxy.router.endpoints import EndpointFactory, EndpointTable
from meshproxy.router.own_listeners import AddressGuard, LoopGuard
from meshproxy.router.policy import ClientPolicy, new_budget
from meshproxy.service import Service, stack
from meshproxy.var import Pending, wait

_log_once = LogOnce(logging.getLogger(__name__))


class ClientKey(NamedTuple):
    """What distinguishes clients; equal keys share a client, also across a reload."""

    id: Path
    policy: ClientPolicy
    limits: Limits
    binding_seconds: float
    chosen_by: ChosenBy = ChosenBy.NAMER
    egress: Policies | None = None
    """What is left of the egress rules, if there are some."""


class Client:
    """Sends requests to the endpoints of *bound*; `service` is its whole stack."""

    def __init__(
        self,
        bound: Bound,
        key: ClientKey,
        metrics: Tree,
        connect: Connect,
        guard: LoopGuard,
        diagnose: Callable[[Path], Diagnostics],
        egress: AddressFilter | None = None,
    ) -> None:
        self.id = bound.id
        self._bound = bound
        self._metrics = metrics
        self._binding_seconds = key.binding_seconds
        self._loop_error = guard.error
        self._egress = egress
        self._policy = policy = key.policy
        self.stats = ClientStats(
            metrics, by_endpoint=policy.endpoint_stats, streams=policy.protocol != "http"
        )
        self._budget = new_budget(policy.requeue_budget)
        self._transport = policy.transport(key.limits)
        balancing, config = metrics.scope("loadbalancer"), policy.balancer
        self._classes: WeightClasses[Endpoint] = WeightClasses(
            balancing, config.algorithm, lambda: config.build(balancing)
        )
        self._new_endpoint = EndpointFactory(self.id, policy, self._transport, connect, metrics)
        self._table = EndpointTable(
            self._new_endpoint,
            self._classes,
            AddressGuard(guard, key.chosen_by),
            egress,
            keeps_healthy=config.enable_probation,
        )
        self._diagnostics = diagnose(self.id)
        self._rewrite_host: RewriteHost | None = None
        self._is_plain = not policy.endpoint_stats
        """True if requests need nothing between the balancer and the endpoint."""
        size, any_open = self._classes.size, self._classes.any_open
        measure(metrics, self._new_endpoint.connects, self._table.endpoints, any_open)
        self.addr: Addr = ADDR_PENDING
        """The last address set that was neither pending nor failed, if there was one."""
        self.service: Service[Request, Response] = stack(
            stacks.client_stack(policy, self._budget, size, metrics, self.stats, any_open),
            self._attempt,
        )
        self._stop = bound.addr.observe(self._update)
        metrics.hold()

    def diagnose_by(self, diagnose: Callable[[Path], Diagnostics]) -> None:
        """Creates diagnostics with *diagnose* from now on."""
        self._diagnostics = diagnose(self.id)

    def follow(self, bound: Bound) -> None:
        """Follows the addresses of *bound*, which has the same id, from now on."""
        if bound.addr is not self._bound.addr:
            self._bound, before = bound, self._stop
            self._stop = bound.addr.observe(self._update)
            before()

    def renew(self) -> None:
        """Makes new connections from now on if files of its TLS have changed."""
        for endpoint in self._table.endpoints():
            self._new_endpoint.renew(endpoint)

    def close(self, *, expired: bool = False) -> None:
        """Stops following the addresses and closes what is idle."""
        del expired
        self._stop()
        self.addr = ADDR_NEG
        self._table.close()
        self.stats.close()
        self._metrics.prune()
        del self.service  # as in `PathService.close`

    def serve(self, request: Request) -> Response:
        """Sends *request*; errors name the endpoint that was tried. Raises ProxyError."""
        service = self.service
        try:
            if self._egress is not None:
                return self._serve_judged(request, self._egress)
            return service(request)
        except (ConnectFailed, TlsFailed) as error:
            if not error.transient:
                _log_once.warning("%s at %s: %s", self.id.show(), request.endpoint, str(error))
            raise type(error)(self._describe(request, error)) from error
        except ServiceTimedOut as error:
            raise type(error)(self._describe_timeout(request, error)) from error

    def _serve_judged(self, request: Request, egress: AddressFilter) -> Response:
        """Serves *request* if its addresses may be reached; else nothing below hears of it."""
        if isinstance(self.addr, AddrPending):
            self._await_addr(request)
        self._refuse_loop(request)
        egress.admit(request)
        service = self.service
        response = service(request)
        egress.note(request)
        return response

    def _attempt(self, request: Request) -> Response:
        if not self._classes.nodes:
            self._await_endpoints(request)
        endpoint = self._table.balancer.pick()
        if endpoint.name in request.tried:
            endpoint = self._best_untried(request) or endpoint
        if self._is_plain and request.method not in METHODS:
            return endpoint.serve(request)
        return self._serve_specially(request, endpoint)

    def _serve_specially(self, request: Request, endpoint: Endpoint) -> Response:
        """Serves a request that is counted, with another Host to send, or with a limit of hops."""
        rewrite, by_endpoint, service = self._rewrite_host, self.stats.by_endpoint, endpoint.serve
        if by_endpoint is not None:
            service = partial(by_endpoint[endpoint.name], service=service)
        if rewrite is not None:
            service = partial(rewrite, service=service)
        if request.method in METHODS:
            return self._diagnostics(request, service, endpoint.name, self.names)
        return service(request)

    def names(self) -> list[str]:
        """Returns the addresses of the endpoints as `host:port`."""
        return [endpoint.name for endpoint in self._classes.nodes]

    def endpoints(self) -> list[Endpoint]:
        """Returns all endpoints by address."""
        return sorted(self._classes.nodes, key=lambda one: one.name)

    def _best_untried(self, request: Request) -> Endpoint | None:
        untried = [one for one in self._classes.nodes if one.name not in request.tried]
        return min(untried, key=lambda one: (not one.is_open, one.load.value()), default=None)

    def _await_endpoints(self, request: Request) -> None:
        """Waits for the first address.

        Raises NoHosts, LoopDetected, BindingFailed or one of two timeouts.
        """
        if isinstance(self.addr, AddrPending):
            self._await_addr(request)
        if isinstance(self.addr, AddrFailed):
            raise BindingFailed(self.addr.why)
        if not self._classes.nodes:
            self._refuse_loop(request)
            raise NoHosts(f"No hosts are available for {self.id.show()}")

    def _refuse_loop(self, request: Request) -> None:
        """Raises LoopDetected if there are only listeners of this process to go to."""
        listener = self._table.own_listener
        if listener is not None and not self._classes.nodes:
            raise self._loop_error(request, self._bound, listener)

    def _await_addr(self, request: Request) -> None:
        """Waits until the address is no longer pending. Raises one of two timeouts."""
        known = self._bound.addr.map(settled)
        began = monotonic()
        time_left = request.deadline - began
        state = wait(known, min(self._binding_seconds, max(time_left, 0)))
        spend(request, DNS, monotonic() - began)
        if isinstance(state, Pending):
            if time_left < self._binding_seconds:
                raise TimedOutBinding("exceeded the time for the name to be bound")
            raise BindingTimedOut(
                f"Exceeded {self._binding_seconds:g}.seconds binding timeout while connecting "
                f"to {self.id.show()}"
            )

    def _update(self, addr: Addr) -> None:
        """Applies a new address set; after a known set, pending and failed change nothing."""
        if isinstance(addr, AddrPending | AddrFailed) and isinstance(self.addr, AddrBound):
            return
        authority = addr.authority if isinstance(addr, AddrBound) else None
        self._rewrite_host = RewriteHost(authority) if authority else None
        self._is_plain = not authority and self.stats.by_endpoint is None
        note_change(self.id.show(), self.addr, addr)
        self.addr = addr
        self._table.follow(addr.addresses if isinstance(addr, AddrBound) else frozenset())

    def _describe(self, request: Request, error: ConnectFailed | TlsFailed) -> str:
        return (
            f"Unable to establish connection to {request.endpoint}.\n\n{error}\n"
            f"service name: {request.dst.show() if request.dst else ''}\n"
            f"client name: {self.id.show()}\n"
            f"addresses: [{', '.join(self.names())}]\n"
            f"selected address: {request.endpoint}\n"
        )

    def _describe_timeout(self, request: Request, error: ServiceTimedOut) -> str:
        limit = min(self._transport.limits.attempt, self._transport.limits.first_byte)
        return (
            f"exceeded {limit:g}.seconds to {request.dst.show() if request.dst else ''} while "
            f"{error.phase.value} for an individual request, excluding retries. "
            f"Remote Info: {request.endpoint}, {self.id.show()}"
        )
