"""Names bound by namerd over HTTP: io.l5d.namerd.http.

linkerd: interpreter/namerd/.../NamerdHttpInterpreterInitializer.scala and StreamingNamerClient.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from meshproxy.backoff import Backoff, equal_jitter
from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.decode import Config, Problem, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.namerd import BoundName, Namerd
from meshproxy.discovery.watching.api import Api, addresses_of
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_PENDING, Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree, Transformer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var

_INET: Final = Path.of("$", "inet")


class _Question(NamedTuple):
    """A name to bind, and the dtab to use besides the namespace's own."""

    dtab: str
    path: Path


class NamerdInterpreter:
    """Binds names as namerd does, which gets the router's dtab and that of the request.

    Until the first answer a name is pending; after it the last answer stays.
    """

    def __init__(
        self, namerd: Namerd, transformers: Sequence[Transformer], backoff: Backoff, metrics: Tree
    ) -> None:
        self._transformers = transformers
        bind_stats, addr_stats = (
            WatchStats(metrics.scope("bind")),
            WatchStats(metrics.scope("addr")),
        )

        def watch_tree(question: _Question) -> Watch[NameTree[BoundName]]:
            return Watch(
                namerd.api,
                f"{question.path.show()} {question.dtab}".rstrip(),
                lambda line: namerd.bind(line, *question),
                backoff=backoff,
                stats=bind_stats,
                show=_shown,
                style="watch",
            )

        def watch_addr(bound_id: Path) -> Watch[Addr]:
            return Watch(
                namerd.api,
                bound_id.show(),
                lambda line: namerd.addr(line, bound_id),
                backoff=backoff,
                stats=addr_stats,
                style="watch",
            )

        self._trees: Watches[_Question, NameTree[BoundName]] = Watches(watch_tree)
        self._addrs: Watches[Path, Addr] = Watches(watch_addr)

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows what namerd binds *path* to."""
        bounds: dict[BoundName, Bound] = {}

        def bound(name: BoundName) -> Bound:
            if name not in bounds:
                addr = self._addrs.follow(name.id).map(_addr)
                bounds[name] = Bound(name.id, addr, name.residual)
            return bounds[name]

        def tree(state: State[NameTree[BoundName]]) -> State[BoundTree]:
            if not isinstance(state, Ok):
                return state
            found = state.value.map(bound)
            for gone in bounds.keys() - set(_leaves(state.value)):
                del bounds[gone]
            return Ok(found)

        found = self._trees.follow(_Question(dtab.show(), path)).map(tree)
        for transformer in self._transformers:
            found = _transformed(transformer, found)
        return found

    def describe(self) -> Mapping[str, Any]:
        """Returns what namerd said of each name and each bound id in use."""
        return {"bind": self._trees.describe(), "addr": self._addrs.describe()}


def _addr(state: State[Addr]) -> Addr:
    return state.value if isinstance(state, Ok) else ADDR_PENDING


def _leaves(tree: NameTree[BoundName]) -> list[BoundName]:
    leaves: list[BoundName] = []
    tree.map(leaves.append)
    return leaves


def _shown(tree: NameTree[BoundName]) -> str:
    return tree.map(lambda name: name.id + name.residual).show()


def _transformed(transformer: Transformer, found: Activity[BoundTree]) -> Activity[BoundTree]:
    def change(state: State[BoundTree]) -> Activity[BoundTree]:
        if not isinstance(state, Ok):
            return Var(state)
        changed = transformer.transform(state.value)
        return changed if isinstance(changed, Var) else Var(Ok(changed))

    return found.flat_map(change)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerdRetryConfig(Config):
    """How long to wait before namerd is asked again after a failure; the waits grow."""

    base_seconds: int = key(minimum=1, doc="The first wait.")
    max_seconds: int = key(minimum=1, doc="The longest wait.")

    def check(self) -> Iterable[Problem]:
        """Requires that the first wait is no longer than the longest."""
        if self.base_seconds > self.max_seconds:
            what = f"{self.base_seconds} is more than maxSeconds, {self.max_seconds}"
            yield Problem(what, "baseSeconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerdHttpConfig(InterpreterConfig):
    """Lets namerd bind names by its dtab, followed by the router's; local namers are not asked."""

    kind: ClassVar[str] = "io.l5d.namerd.http"
    requires_experimental: ClassVar[bool] = True

    dst: Path = key(doc="Where namerd's `io.l5d.httpController` is, `/$/inet/namerd/4180`.")
    namespace: str = key(default="default", doc="The namespace, whose dtab comes first.")
    retry: NamerdRetryConfig | None = key(
        default=None, doc="Waits after failures; from 5 to 600 seconds when unset."
    )
    tls: ClientTlsConfig | None = key(default=None, doc="TLS to namerd; plain when unset.")

    def build(self, deps: InterpreterDeps) -> NamerdInterpreter:
        """Builds the interpreter. Raises TlsFailed when the files of `tls` cannot be used."""
        retry = self.retry or NamerdRetryConfig(base_seconds=5, max_seconds=600)
        api = Api(
            addresses_of(deps.bind(self.dst)),
            _host(self.dst),
            tls=deps.tls(self.tls) if self.tls is not None else None,
        )
        return NamerdInterpreter(
            Namerd(api, self.namespace),
            deps.transformers,
            equal_jitter(retry.base_seconds, retry.max_seconds),
            deps.metrics,
        )


def _host(dst: Path) -> str:
    """Returns the Host of questions to *dst*: that of the address if it is one."""
    if dst.starts_with(_INET) and len(dst) == 4:
        return ":".join(segment.decode(errors="replace") for segment in dst.drop(2))
    return "namerd"
