"""Names bound by namerd over gRPC: io.l5d.mesh.

linkerd: interpreter/mesh/.../MeshInterpreterInitializer.scala and mesh/Client.scala.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.backoff import Backoff, equal_jitter
from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.decode import Config, Problem, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.grpc.channel import Calls, GrpcChannel
from meshproxy.discovery.mesh.questions import Mesh
from meshproxy.discovery.watching.api import addresses_of
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.interpreters.namerd import NamerdRetryConfig, host_of
from meshproxy.interpreters.remote import Question, RemoteInterpreter, TreeWatch, shown
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr
from meshproxy.naming.delegation import Delegation, Step
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Transformer
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var

_DEFAULT_ROOT: Final = Path.of("default")
_MAX_WINDOW_KB: Final = (2**31 - 1) // 1024
_PINGS: Final = KeepAlive(30.0, 10.0)
"""Namerd does not mind them."""
_CONNECTION_WINDOW: Final = 16 * 1024 * 1024


class MeshInterpreter(RemoteInterpreter):
    """Has namerd bind names; it is sent the router's dtab and the request's."""

    def __init__(
        self, mesh: Mesh, transformers: Sequence[Transformer], backoff: Backoff, metrics: Tree
    ) -> None:
        bind_stats, addr_stats, delegate_stats = (
            WatchStats(metrics.scope(name)) for name in ("bind", "addr", "delegate")
        )

        def watch_tree(question: Question) -> TreeWatch:
            return Watch(
                mesh.channel,
                question.show(),
                lambda calls: mesh.bind(calls, *question),
                line=lambda moved: Calls(mesh.channel, moved),
                backoff=backoff,
                stats=bind_stats,
                show=shown,
                style="watch",
            )

        def watch_addr(bound_id: Path) -> Watch[Addr]:
            return Watch(
                mesh.channel,
                bound_id.show(),
                lambda calls: mesh.replicas(calls, bound_id),
                line=lambda moved: Calls(mesh.channel, moved),
                backoff=backoff,
                stats=addr_stats,
                style="watch",
            )

        def watch_steps(question: Question) -> Watch[Step]:
            return Watch(
                mesh.channel,
                f"the steps of {question.show()}",
                lambda calls: mesh.delegation(calls, *question, self.bound),
                line=lambda moved: Calls(mesh.channel, moved),
                backoff=backoff,
                stats=delegate_stats,
            )

        super().__init__(transformers, watch_tree, watch_addr)
        self._steps: Watches[Question, Step] = Watches(watch_steps)

    def delegate(self, dtab: Dtab, path: Path) -> Activity[Delegation]:
        """Returns every step from *path* to its end, as namerd tells them."""

        def whole(state: State[Step]) -> Activity[Delegation]:
            if not isinstance(state, Ok):
                return Var(state)
            root = state.value
            return self.transformed(Var(root.state)).map(lambda end: Ok(Delegation(root, end)))

        return self._steps.follow(Question(dtab, path)).flat_map(whole)

    def describe(self) -> Mapping[str, Any]:
        """Returns what namerd said of each name, by its dtab, and of each bound id in use."""
        bind: dict[str, dict[str, Any]] = {}
        for question, watch in self.trees.items():
            bind.setdefault(question.path.show(), {})[question.dtab.show()] = watch.describe()
        return {"bind": bind, "resolve": self.addrs.describe()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureThresholdConfig(Config):
    """When the connection to namerd is marked dead: after an unanswered ping."""

    min_period_ms: int = key(default=5000, minimum=1, doc="Silence before a ping.")
    close_timeout_ms: int = key(default=6000, minimum=1, doc="The time for its answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshConfig(InterpreterConfig):
    """Lets namerd bind names by its dtab, followed by the router's; local namers are not asked."""

    kind: ClassVar[str] = "io.l5d.mesh"

    dst: Path = key(doc="Where namerd's `io.l5d.mesh` is, `/$/inet/namerd/4321`.")
    root: Path = key(
        default=_DEFAULT_ROOT, doc="The namespace, whose dtab comes first: `/default`."
    )
    retry: NamerdRetryConfig | None = key(
        default=None, doc="Waits after failures; from 1 to 600 seconds when unset."
    )
    tls: ClientTlsConfig | None = key(default=None, doc="TLS to namerd; plain when unset.")
    failure_threshold: FailureThresholdConfig | None = key(
        default=None, doc="Pings; after 30 s of silence, with 10 s for the answer, when unset."
    )
    initial_stream_window_size_kb: int = key(
        default=10240,
        minimum=64,
        maximum=_MAX_WINDOW_KB,
        doc="The window of each stream, in KiB.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem for a root that is not one segment."""
        if len(self.root) != 1:
            yield Problem(f"{self.root.show()} must have one segment, such as /default", "root")

    def build(self, deps: InterpreterDeps) -> MeshInterpreter:
        """Builds the interpreter. Raises TlsFailed when the files of `tls` cannot be used."""
        retry = self.retry or NamerdRetryConfig(base_seconds=1, max_seconds=600)
        threshold = self.failure_threshold
        window = self.initial_stream_window_size_kb * 1024
        dial = deps.http2(
            self.tls,
            LocalSettings(
                stream_window_bytes=window,
                connection_window_bytes=max(window, _CONNECTION_WINDOW),
            ),
            _PINGS
            if threshold is None
            else KeepAlive(threshold.min_period_ms / 1000, threshold.close_timeout_ms / 1000),
        )
        channel = GrpcChannel(addresses_of(deps.bind(self.dst)), host_of(self.dst), dial)
        return MeshInterpreter(
            Mesh(channel, self.root),
            deps.transformers,
            equal_jitter(retry.base_seconds, retry.max_seconds),
            deps.metrics,
        )
