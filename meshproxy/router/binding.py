"""From a logical name to the service that serves it: path, tree, bound name, client.

Four caches, as linkerd: router/core/.../naming/buoyant/DstBindingFactory.scala. An entry holds the
entries below it, so what a live name uses stays.
"""

import threading

from meshproxy.client.transport import Connect
from meshproxy.client.upstream_proxy import Resolve
from meshproxy.config.routers import RouterConfig
from meshproxy.errors import ProxyError
from meshproxy.filters.diagnostics import Diagnostics
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import Interpreter
from meshproxy.naming.path import Path
from meshproxy.net.turn import next_turn
from meshproxy.router.address_filter import AddressFilter, OpenRules, Policies
from meshproxy.router.cache import CacheEntry, IdleCache
from meshproxy.router.client import Client, ClientKey
from meshproxy.router.egress import Gate
from meshproxy.router.kept_names import KeptNames
from meshproxy.router.own_listeners import LoopGuard
from meshproxy.router.parents import Parents
from meshproxy.router.passage import Refusal
from meshproxy.router.path_service import PathKey, PathService, dtab_lines
from meshproxy.router.policy import HTTP_UNSET, Unset, client_policy, files_of
from meshproxy.router.routes import Routes
from meshproxy.router.tree import (
    BoundKey,
    BoundService,
    TreeKey,
    TreeService,
)


class Binding:
    """The four caches of one router, and what their entries are made of.

    The clients are those of *before*, the router's binding under the configuration before this.
    Raises TlsFailed when a TLS file cannot be used.
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
        before: "Binding | None" = None,
        gate: Gate | None = None,
        unset: Unset = HTTP_UNSET,
    ) -> None:
        self.config = config
        self.unset = unset
        self.dtab = config.dtab
        self.interpreter = interpreter
        self.routes = Routes(interpreter, config.dtab)
        self.metrics = metrics
        self.binding_seconds = config.binding_timeout_ms / 1000 or threading.TIMEOUT_MAX
        self._limits = limits
        self._parents = Parents(connect, resolve, guard)
        self._guard = guard
        self._gate = gate
        sizes = config.binding_cache
        scope = metrics.scope("bindcache")
        self.paths: IdleCache[PathKey, PathService] = IdleCache(sizes.paths, scope.scope("path"))
        self.trees: IdleCache[TreeKey, TreeService] = IdleCache(sizes.trees, scope.scope("tree"))
        self.bounds: IdleCache[BoundKey, BoundService] = IdleCache(
            sizes.bounds, scope.scope("bound")
        )
        self.clients: IdleCache[ClientKey, Client] = (
            before.clients
            if before is not None
            else IdleCache(sizes.clients, scope.scope("client"))
        )
        self.dtab_lines = dtab_lines(config.dtab)
        """The table as errors show it."""
        self._files = files_of(config.client, unset.client)
        self.kept = KeptNames(interpreter, config.dtab, sizes.paths)
        """Names of the binding before, until the next sweep."""
        self._is_retired = False
        self._inherited: list[Tree] = []
        """Scopes of names and clients from before a reload, so that their counters go on."""

    def serve(self, key: PathKey, request: Request) -> Response:
        """Serves *request* by the name and table of *key*. Raises ProxyError."""
        entry = self.paths.take(key, PathService, self)
        try:
            name = entry.value
            request.dst = name.path
            if request.body is not None:
                request.body.keep_at_most(name.keep_bytes)
            service = name.service
            return service(request)
        finally:
            self.paths.give(entry)

    def sweep(self) -> None:
        """Closes what was idle for a whole period, users before what they use."""
        for cache in (self.paths, self.trees, self.bounds, self.clients):
            cache.sweep()
        for client in self.clients.values():
            client.stats.sweep()
            next_turn()
        self._disinherit()
        self.kept.release()

    def close(self, successor: "Binding | None" = None) -> None:
        """Closes names, and clients that *successor* does not want; running requests finish."""
        self._is_retired = True
        if successor is not None:
            successor.inherit()
            names = [(one.path, one.local) for one in self.paths.values()]
            successor.kept.keep([*names, *self.kept])
        self.kept.close()
        for cache in (self.paths, self.trees, self.bounds):
            cache.close()
        if successor is None:
            self.clients.close()
        else:
            self.clients.drop(lambda key: not successor.wants(key))
        self._disinherit()

    def inherit(self) -> None:
        """Becomes the one whose clients and metrics these are."""
        self.clients.capacity = self.config.binding_cache.clients
        for kind in ("service", "client"):
            self._inherited += self.metrics.scope(kind).scopes.values()
        for scope in self._inherited:
            scope.hold()
        for client in self.clients.values():
            client.diagnose_by(self._diagnostics)
            client.renew()

    def wants(self, key: ClientKey) -> bool:
        """Returns True if the client of *key* is as the configuration says."""
        gate, left = self._gate, key.egress
        if (left is None) != (gate is None) or (gate and left and not gate.knows(left)):
            return False
        try:
            return self._key_of(key.id, key.chosen_by, key.egress) == key
        except ProxyError:
            return False

    def policies_at(self, bound: Bound, rules: OpenRules | None) -> Policies | Refusal | None:
        """Returns what is left of *rules* for *bound*; None without egress rules."""
        if self._gate is None or rules is None:
            return None
        return self._gate.at_bound(bound, rules)

    def take_client(self, bound: Bound, policies: Policies | None) -> CacheEntry[ClientKey, Client]:
        """Returns the client of a bound id, by the configuration that matches it. Raises TlsFailed.

        One from before a reload is made to follow the addresses of *bound*.
        """
        key = self._key_of(bound.id, self._guard.chooser(bound), policies)
        bound = self._parents.tell(bound, key.policy.upstream_proxy)
        entry = self.clients.take(key, self._new_client, bound)
        if not self._is_retired:
            entry.value.follow(bound)
        return entry

    def _disinherit(self) -> None:
        """Releases the scopes that nothing uses any more."""
        for scope in self._inherited:
            scope.prune()
        self._inherited = []

    def _key_of(self, bound_id: Path, chosen_by: ChosenBy, policies: Policies | None) -> ClientKey:
        policy = client_policy(self.config.client, bound_id, self.unset.client)
        return ClientKey(bound_id, policy, self._limits, self.binding_seconds, chosen_by, policies)

    def _new_client(self, key: ClientKey, bound: Bound) -> Client:
        metrics = self.metrics.scope("client", bound.id.show()[1:])
        connect = self._parents.connect(key.policy.upstream_proxy, metrics)
        egress = None
        if self._gate is not None and key.egress is not None:
            egress = AddressFilter(key.egress, self._gate.filtered)
        return Client(bound, key, metrics, connect, self._guard, self._diagnostics, egress)

    def _diagnostics(self, bound_id: Path) -> Diagnostics:
        return Diagnostics(
            self.config.name,
            bound_id.show(),
            lambda request: self.routes.route(request, bound_id),
        )
