"""A logical name as a service: it follows its binding, and serves by the tree bound last."""

from time import monotonic
from typing import TYPE_CHECKING

from meshproxy.errors import BindingFailed, BindingTimedOut, NoHosts, ProxyError, TimedOutBinding
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import BIND, spend
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.router import stacks
from meshproxy.router.address_filter import OpenRules
from meshproxy.router.egress import JudgedPath
from meshproxy.router.path_policy import path_policy
from meshproxy.router.tree import HttpService, TreeEntry, TreeService
from meshproxy.service import stack
from meshproxy.var import Failed, Ok, State, wait
from meshproxy.wording import in_words

if TYPE_CHECKING:
    from meshproxy.router.binding import Binding

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
            before = self._tree
            self._tree = self._binding.trees.take(key, TreeService, self._binding)
            if before is not None:
                self._binding.trees.give(before)

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
            f"override dtab:\n{dtab_lines(self.local)}\n{error}\n{ends}"
        )


def _parts(key: PathKey) -> tuple[Path, Dtab, OpenRules | None]:
    if isinstance(key, Path):
        return key, Dtab(), None
    if len(key) == 2:
        return *key, None
    path, local, rules = key
    return path, local or Dtab(), rules


def dtab_lines(dtab: Dtab) -> str:
    """Returns *dtab* with an entry in each line, as errors show it."""
    return "".join(f"  {entry.prefix.show()} => {entry.dst.show()}\n" for entry in dtab)
