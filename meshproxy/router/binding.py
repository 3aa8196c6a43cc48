"""From a logical name to the service that serves it: path, tree, bound name, client.

Four caches, as linkerd: router/core/.../naming/buoyant/DstBindingFactory.scala. An entry holds the
entries below it, so what a live name uses stays.
"""

import threading
from time import monotonic

from meshproxy.client.transport import Connect
from meshproxy.client.upstream_proxy import Resolve
from meshproxy.config.routers import RouterConfig
from meshproxy.errors import BindingFailed, BindingTimedOut, NoHosts, ProxyError, TimedOutBinding
from meshproxy.filters.diagnostics import Diagnostics
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import BIND, spend
from meshproxy.metrics.tree import Tree
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Interpreter
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.net.turn import next_turn
from meshproxy.router import stacks
from meshproxy.router.address_filter import AddressFilter, OpenRules, Policies
from meshproxy.router.cache import CacheEntry, IdleCache
from meshproxy.router.client import Client, ClientKey
from meshproxy.router.egress import Gate, JudgedPath
from meshproxy.router.kept_names import KeptNames
from meshproxy.router.own_listeners import LoopGuard
from meshproxy.router.parents import Parents
from meshproxy.router.passage import Refusal
from meshproxy.router.path_policy import path_policy
from meshproxy.router.policy import HTTP_UNSET, Unset, client_policy, files_of
from meshproxy.router.routes import Routes
from meshproxy.router.tree import (
    BoundKey,
    BoundService,
    HttpService,
    TreeEntry,
    TreeKey,
    TreeService,
)
from meshproxy.service import stack
from meshproxy.var import Failed, Ok, State, wait
from meshproxy.wording import in_words

PathKey = Path | tuple[Path, Dtab] | JudgedPath
"""A name, with the table that came along if there was one, and what is left of egress rules."""


class PathService:
    """One logical name with its local table: its live binding, policy and statistics."""

    def __init__(self, key: PathKey, binding: "Binding") -> None:
        self.path, self.local, self._rules = _parts(key)
        self._binding = binding
        self._metrics = binding.metrics.scope("service", self.path.show()[1:])
        self._metrics.hold()
        self._tree: TreeEntry | None = None
        self._activity = binding.interpreter.bind(binding.dtab + self.local, self.path)
        policy = path_policy(binding.config.service, self.path, binding.unset.path)
        self.keep_bytes = policy.retry_buffer_bytes
        """Bytes of a request body that are held for a retry."""
        filters = stacks.path_stack(self.path, policy, self._metrics)
        self.service: HttpService = stack(filters, self._dispatch)
        """Serves by the name's present binding. Raises ProxyError."""
        self._stop = self._activity.observe(self._update)

    def close(self, *, expired: bool = False) -> None:
        """Stops following the name."""
        self._stop()
        if self._tree is not None:
            self._binding.trees.give(self._tree, expired=expired)
        self._metrics.prune()
        del self.service  # it leads back here, so both would stay until the garbage collector comes

    def _update(self, state: State[NameTree[Bound]]) -> None:
        """Follows the binding; pending or failed after a tree leaves the tree in use."""
        self._binding.routes.forget()
        if isinstance(state, Ok):
            key = (state.value, self._rules)
            before, self._tree = self._tree, self._binding.trees.take(key, self._new_tree)
            if before is not None:
                self._binding.trees.give(before)

    def _new_tree(self, key: TreeKey) -> TreeService:
        return TreeService(key, self._binding)

    def _dispatch(self, request: Request) -> Response:
        tree = self._tree or self._await_tree(request)
        serve = tree.value.serve
        try:
            return serve(request)
        except NoHosts as error:
            raise NoHosts(self._no_route(error)) from error

    def _await_tree(self, request: Request) -> TreeEntry:
        seconds = self._binding.binding_seconds
        began = monotonic()
        time_left = request.deadline - began
        state = wait(self._activity, min(seconds, max(time_left, 0)))
        spend(request, BIND, monotonic() - began)
        if self._tree is not None:
            return self._tree
        if isinstance(state, Failed):
            raise self._failure(state.error) from state.error
        if time_left < seconds:
            raise TimedOutBinding("exceeded the time for the name to be bound")
        raise BindingTimedOut(
            f"Exceeded {seconds:g}.seconds binding timeout while resolving name: {self.path.show()}"
        )

    def _failure(self, error: BaseException) -> ProxyError:
        """Returns *error* as the client gets it: failed bindings with what ended them."""
        if isinstance(error, ProxyError) and not isinstance(error, BindingFailed):
            return error
        ends = self._binding.routes.why_nowhere(self.local, self.path)
        return BindingFailed(f"{in_words(error)}\n{ends}".rstrip("\n"))

    def _no_route(self, error: NoHosts) -> str:
        ends = self._binding.routes.why_nowhere(self.local, self.path)
        return (
            f"Unable to route request!\n\nservice name: {self.path.show()}\ndtab:\n\n"
            f"base dtab:\n{self._binding.dtab_lines}"
            f"override dtab:\n{_lines(self.local)}\n{error}\n{ends}"
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
        self.dtab_lines = _lines(config.dtab)
        """The table as errors show it."""
        self._files = files_of(config.client, unset.client)
        self.kept = KeptNames(interpreter, config.dtab, sizes.paths)
        """Names of the binding before, until the next sweep."""
        self._is_retired = False
        self._inherited: list[Tree] = []
        """Scopes of names and clients from before a reload, so that their counters go on."""

    def serve(self, key: PathKey, request: Request) -> Response:
        """Serves *request* by the name and table of *key*. Raises ProxyError."""
        entry = self.paths.take(key, self._new_path)
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
        entry = self.clients.take(key, lambda key: self._new_client(bound, key))
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

    def _new_client(self, bound: Bound, key: ClientKey) -> Client:
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

    def _new_path(self, key: PathKey) -> PathService:
        return PathService(key, self)


def _parts(key: PathKey) -> tuple[Path, Dtab, OpenRules | None]:
    if isinstance(key, Path):
        return key, Dtab(), None
    if len(key) == 2:
        return *key, None
    path, local, rules = key
    return path, local or Dtab(), rules


def _lines(dtab: Dtab) -> str:
    return "".join(f"  {entry.prefix.show()} => {entry.dst.show()}\n" for entry in dtab)
