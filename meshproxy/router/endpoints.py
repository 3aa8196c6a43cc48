"""The endpoints of a client by address: created for new addresses, closed when these are gone.

Only what changed is touched. Of many changes, some are made in each turn of the loop, so that no
request waits for all of them.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Final

from meshproxy.accrual.breaker import FailureAccrual
from meshproxy.balancers.balancer import Picker
from meshproxy.balancers.weight_classes import WeightClasses
from meshproxy.client.endpoint import Endpoint, show
from meshproxy.client.fail_fast import FailFastEndpoint, FailFastStats
from meshproxy.client.transport import Connect, Connections, ConnectStats, Transport
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address, NamedAddress
from meshproxy.naming.path import Path
from meshproxy.net.turn import in_turns
from meshproxy.router.address_filter import AddressFilter
from meshproxy.router.own_listeners import AddressGuard, OwnListener
from meshproxy.router.policy import ClientPolicy

AT_ONCE: Final = 100
"""Endpoints created in one turn, and likewise closed; a new one takes some 35 us."""


class EndpointFactory:
    """Creates the endpoints of the client *id_*, whose metrics are *metrics*."""

    def __init__(
        self, id_: Path, policy: ClientPolicy, transport: Transport, connect: Connect, metrics: Tree
    ) -> None:
        self._id = id_
        self._policy = policy
        self._transport = transport
        self._connect = connect
        self._metrics = metrics
        self.connects = ConnectStats(metrics)
        """Counts the connections of all endpoints."""
        self._fail_fast = (
            FailFastStats(metrics.scope("failfast"), id_.show()) if policy.fail_fast else None
        )

    def __call__(self, address: Address) -> Endpoint:
        """Returns a new endpoint at *address*."""
        policy = self._policy
        accrual = FailureAccrual(
            policy.accrual.new_policy(),
            self._metrics.scope("failure_accrual"),
            f"{show(address)} of {self._id.show()}",
        )
        parts = (
            address,
            self._connections(address),
            policy.balancer.new_load(),
            accrual,
            self._metrics.counter("cut_responses"),
            self._transport.limits.attempt,
        )
        if self._fail_fast is not None:
            return FailFastEndpoint(*parts, stats=self._fail_fast)
        return Endpoint(*parts)

    def renew(self, endpoint: Endpoint) -> None:
        """Has *endpoint* make new connections if files of their TLS have changed."""
        if not endpoint.is_current:
            endpoint.use(self._connections(endpoint.address))

    def _connections(self, address: Address) -> Connections:
        return self._connect(address, self._transport, self.connects)


class EndpointTable:
    """The endpoints for a set of addresses, and the balancer that chooses among them.

    An endpoint belongs to an address without its weight, so it outlives a change of weight; if an
    address is listed with several weights, the highest counts. There is none for what *guard* or
    *egress* refuse. If *keeps_healthy*, endpoints that are no longer listed stay while they are
    open; but not if a parent proxy looks their name up, as it may find what is listed now.
    """

    def __init__(
        self,
        create: Callable[[Address], Endpoint],
        classes: WeightClasses[Endpoint],
        guard: AddressGuard,
        egress: AddressFilter | None = None,
        *,
        keeps_healthy: bool = False,
    ) -> None:
        self.by_address: dict[Address, Endpoint] = {}
        """The endpoints in the order of their arrival."""
        self.balancer: Picker[Endpoint] = classes
        self._create = create
        self._classes = classes
        self._guard = guard
        self._egress = egress
        self._keeps_healthy = keeps_healthy
        self._listed: set[Address] = set()
        """The addresses that have been applied, with their weights."""
        self._weights: dict[Address, tuple[float, ...]] = {}
        self._own: dict[Address, OwnListener] = {}
        """Listed addresses that are listeners of this process and may not be reached."""
        self._unlisted: set[Address] = set()
        """Addresses of endpoints that are not listed."""
        self._closing: list[Endpoint] = []
        self._changes = _nothing()

    @property
    def own_listener(self) -> OwnListener | None:
        """The listener of this process among the addresses that was left out, if any."""
        return next(iter(self._own.values()), None)

    def endpoints(self) -> Iterable[Endpoint]:
        """Returns all endpoints."""
        return self.by_address.values()

    def follow(self, wanted: frozenset[Address]) -> None:
        """Replaces the addresses. Some changes are made at once, the others in later turns.

        Endpoints that are gone are not chosen any more when this returns, and there is something to
        choose if one of *wanted* is admitted at all.
        """
        self._changes.close()
        if self._guard.has_changed():
            for address in tuple(self._listed):
                self._reconsider(address)
        self._changes = self._change(wanted)
        for _ in self._changes:
            if self._classes.nodes or not wanted:
                in_turns(self._changes)
                return

    def close(self) -> None:
        """Removes all endpoints."""
        self._keeps_healthy = False
        self.follow(frozenset())

    def _change(self, wanted: frozenset[Address]) -> Generator[None, None, None]:
        """Makes the changes that lead to *wanted*; others may run at each yield."""
        for address in self._listed - wanted:
            self._unlist(address)
        new = []
        for address in wanted - self._listed:
            if _unweighted(address) in self.by_address:
                self._list(address)
            else:
                new.append(address)
        self._remove_unlisted()
        self._close_some()
        for start in range(0, max(len(new), 1), AT_ONCE):
            if start:
                yield
            for address in sorted(new[start : start + AT_ONCE], key=_place):
                self._list(address)
            if not start or not self._classes.nodes:
                self._rebalance()
        if len(new) > AT_ONCE:
            self._rebalance()
        while self._closing:
            yield
            self._close_some()

    def _list(self, address: Address) -> None:
        key = _unweighted(address)
        self._listed.add(address)
        self._weights[key] = weights = (*self._weights.get(key, ()), address.weight)
        self._unlisted.discard(key)
        if len(weights) == 1 and key not in self.by_address:
            self._admit(key)
        if key in self.by_address:
            self.by_address[key].weight = max(weights)

    def _admit(self, key: Address) -> None:
        """Creates the endpoint, unless the address must not be reached."""
        listener = self._guard.refuses(key)
        if listener is not None:
            self._own[key] = listener
        elif self._egress is None or self._egress.admits(key):
            self.by_address[key] = self._create(key)

    def _unlist(self, address: Address) -> None:
        key = _unweighted(address)
        self._listed.remove(address)
        weights = list(self._weights.pop(key))
        weights.remove(address.weight)
        if weights:
            self._weights[key] = tuple(weights)
            if key in self.by_address:
                self.by_address[key].weight = max(weights)
        else:
            self._own.pop(key, None)
            if key in self.by_address:
                self._unlisted.add(key)
            elif self._egress is not None:
                self._egress.forget(key)

    def _reconsider(self, address: Address) -> None:
        """Lists *address* anew if the guard judges it differently now."""
        key = _unweighted(address)
        if (key in self._own) is (self._guard.refuses(key) is None):
            self._unlist(address)
            if key in self._unlisted:
                self._remove(key)

    def _remove_unlisted(self) -> None:
        for key in tuple(self._unlisted):
            is_kept = self._keeps_healthy and self.by_address[key].is_open
            if not is_kept or isinstance(key, NamedAddress) or self._guard.refuses(key) is not None:
                self._remove(key)

    def _remove(self, key: Address) -> None:
        self._unlisted.remove(key)
        self._closing.append(self.by_address.pop(key))
        if self._egress is not None:
            self._egress.forget(key)

    def _close_some(self) -> None:
        now, self._closing = self._closing[:AT_ONCE], self._closing[AT_ONCE:]
        for endpoint in now:
            endpoint.close()

    def _rebalance(self) -> None:
        if self._egress is not None:
            self._egress.settle()
        self.balancer = self._classes.update(list(self.by_address.values()))


def _unweighted(address: Address) -> Address:
    return address if address.weight == 1.0 else replace(address, weight=1.0)


def _place(address: Address) -> tuple[str, int]:
    return address.host, address.port


def _nothing() -> Generator[None, None, None]:
    """Changes nothing."""
    yield from ()
