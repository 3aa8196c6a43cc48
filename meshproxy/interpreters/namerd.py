"""Names bound by namerd over HTTP: io.l5d.namerd.http.

linkerd: interpreter/namerd/.../NamerdHttpInterpreterInitializer.scala and StreamingNamerClient.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.backoff import Backoff, equal_jitter
from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.decode import Config, Problem, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.namerd import Namerd
from meshproxy.discovery.watching.api import Api, addresses_of
from meshproxy.discovery.watching.watch import Watch, WatchStats
from meshproxy.interpreters.remote import Question, RemoteInterpreter, TreeWatch, shown
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr
from meshproxy.naming.namer import Transformer
from meshproxy.naming.path import Path

_INET: Final = Path.of("$", "inet")


class NamerdInterpreter(RemoteInterpreter):
    """Has namerd bind names; it is sent the router's dtab and the request's."""

    def __init__(
        self, namerd: Namerd, transformers: Sequence[Transformer], backoff: Backoff, metrics: Tree
    ) -> None:
        bind_stats, addr_stats = (
            WatchStats(metrics.scope("bind")),
            WatchStats(metrics.scope("addr")),
        )

        def watch_tree(question: Question) -> TreeWatch:
            return Watch(
                namerd.api,
                question.show(),
                lambda line: namerd.bind(line, question.dtab.show(), question.path),
                backoff=backoff,
                stats=bind_stats,
                show=shown,
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

        super().__init__(transformers, watch_tree, watch_addr)

    def describe(self) -> Mapping[str, Any]:
        """Returns what namerd said of each name and each bound id in use."""
        return {"bind": self.trees.describe(), "addr": self.addrs.describe()}


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
            host_of(self.dst),
            tls=deps.tls(self.tls) if self.tls is not None else None,
        )
        return NamerdInterpreter(
            Namerd(api, self.namespace),
            deps.transformers,
            equal_jitter(retry.base_seconds, retry.max_seconds),
            deps.metrics,
        )


def host_of(dst: Path) -> str:
    """Returns the Host of questions to *dst*: that of the address if it is one."""
    if dst.starts_with(_INET) and len(dst) == 4:
        return ":".join(segment.decode(errors="replace") for segment in dst.drop(2))
    return "namerd"
