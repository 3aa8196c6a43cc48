"""The base class of each family of kinds, and what its `build` is given.

One base per polymorphic site of the file (linkerd: NamerInitializer.scala and its siblings).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, ClassVar, Protocol, TypeAlias

from meshproxy.config.model import Kinded, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.ewma import Load
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Interpreter, Lookup, Namer, Transformer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Var


class Resolver(Protocol):
    """Finds the addresses of a host; *port* is a number or the name of one."""

    def resolve(self, host: str, port: str) -> Var[Addr]:
        """The addresses of *host*, followed while somebody watches."""
        ...


class SystemNames(Protocol):
    """The names under `/$/`, which exist without configuration."""

    def lookup(self, path: Path) -> Lookup:
        """What *path*, the part after `/$`, stands for."""
        ...


Tls: TypeAlias = tuple[SSLContext, str | None]
"""What TLS begins with: a context, and the name to ask for and to find in the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerDeps:
    """What a namer or a transformer may use."""

    prefix: Path
    """Its full prefix: `/#/...` of a namer, `/%/...` of a transformer."""
    metrics: Tree
    resolver: Resolver
    bind: Callable[[Path], Activity[NameTree[Bound]]]
    """Binds a name by the system namers and the configured ones, without any dtab."""
    environ: Mapping[str, str]
    tls: Callable[[ClientTlsConfig], Tls | None]
    """Loads the files of a `tls` block; None if it is switched off. Raises TlsFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterDeps:
    """What an interpreter may use; namers are in the order of the file."""

    namers: Sequence[Namer]
    system: SystemNames
    transformers: Sequence[Transformer]
    metrics: Tree
    bind: Callable[[Path], Activity[NameTree[Bound]]]
    """Binds a name by the system namers, without any dtab."""
    environ: Mapping[str, str]
    tls: Callable[[ClientTlsConfig], Tls | None]
    """Loads the files of a `tls` block; None if it is switched off. Raises TlsFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig(Kinded):
    """Changes the addresses of bound names."""

    category: ClassVar[str] = "transformers"
    offers: ClassVar[tuple[str, ...]] = ("prefix", "transform")
    default_prefix: ClassVar[Path]
    prefix: Path | None = key(
        default=None, doc="Goes in front of the ids of the names it changed, after `/%`."
    )

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """The prefix with its `/%`; a kind whose prefix depends on its keys overrides this."""
        del environ
        return Path.of("%") + (self.prefix or self.default_prefix)

    def build(self, deps: NamerDeps) -> Transformer:
        """The transformer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerConfig(Kinded):
    """Knows the addresses behind the names under its prefix."""

    category: ClassVar[str] = "namers"
    offers: ClassVar[tuple[str, ...]] = ("prefix", "lookup")
    default_prefix: ClassVar[Path]
    prefix: Path | None = key(default=None, doc="Answers the names that begin with `/#` and this.")
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")
    transformers: tuple[TransformerConfig, ...] = key(
        default=(), doc="Applied to its results, in order."
    )

    def full_prefix(self) -> Path:
        """The prefix with its `/#`."""
        return Path.of("#") + (self.prefix or self.default_prefix)

    def build(self, deps: NamerDeps) -> Namer:
        """The namer."""
        raise NotImplementedError

    def trial(self) -> object:
        """Asks for the prefix, which a class without `default_prefix` has not."""
        self.full_prefix()
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterConfig(Kinded):
    """Turns the names of requests into bound ones."""

    category: ClassVar[str] = "interpreters"
    offers: ClassVar[tuple[str, ...]] = ("bind",)
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")
    transformers: tuple[TransformerConfig, ...] = key(
        default=(), doc="Applied to every bound name of the router, in order."
    )

    def build(self, deps: InterpreterDeps) -> Interpreter:
        """The interpreter."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierConfig(Kinded):
    """Gives a request its name."""

    category: ClassVar[str] = "identifiers"
    offers: ClassVar[tuple[str, ...]] = ("__call__",)

    def build(self, prefix: Path) -> Any:
        """The identifier; names begin with *prefix*."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build(Path())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig(Kinded):
    """Decides whether a response is a success, a failure, or a failure that may be retried."""

    category: ClassVar[str] = "classifiers"
    offers: ClassVar[tuple[str, ...]] = ("response", "error")

    def build(self) -> Any:
        """The classifier."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffConfig(Kinded):
    """How long to wait before each next try."""

    category: ClassVar[str] = "backoffs"
    offers: ClassVar[tuple[str, ...]] = ("__call__",)

    def build(self) -> Callable[[], Iterator[float]]:
        """Starts a series of waits, in seconds."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerConfig(Kinded):
    """Chooses among the endpoints of a client."""

    category: ClassVar[str] = "balancers"
    offers: ClassVar[tuple[str, ...]] = ("pick", "update", "gauges")
    algorithm: ClassVar[str]
    """Its name in the metrics."""
    enable_probation: bool = key(
        default=False,
        doc="Keeps endpoints that discovery removed for as long as they are healthy.",
    )

    def build(self, metrics: Tree) -> Any:
        """A balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        raise NotImplementedError

    def new_load(self) -> Load:
        """What an endpoint of this balancer counts its load with."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build(Tree())


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualConfig(Kinded):
    """Takes an endpoint out of the balancer after failures, and probes it."""

    category: ClassVar[str] = "accrual"
    offers: ClassVar[tuple[str, ...]] = (
        "mark_dead_on_failure",
        "record_success",
        "revived",
    )
    backoff: BackoffConfig | None = key(
        default=None,
        doc="How long an endpoint stays out before it is probed; equal jitter of 5 s to 300 s.",
    )

    def new_policy(self) -> Any:
        """The policy of one endpoint."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.new_policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemeterConfig(Kinded):
    """Gives the metrics to the outside."""

    category: ClassVar[str] = "telemeters"
    offers: ClassVar[tuple[str, ...]] = ("start", "close", "pages", "filters", "take", "merge")
    in_workers: ClassVar[bool] = False
    """It looks at requests, so each worker has one; the supervisor merges what those keep."""
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")

    def build(self, deps: Any) -> Any:
        """The exporter, not yet started."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePropagatorConfig(Kinded):
    """Reads and writes the headers that carry a trace."""

    category: ClassVar[str] = "tracePropagators"
    offers: ClassVar[tuple[str, ...]] = ("__call__",)

    def build(self) -> Any:
        """The filter that reads the caller's trace and sends one on."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelerConfig(Kinded):
    """How an address appears in a `Forwarded` header."""

    category: ClassVar[str] = "labelers"
    offers: ClassVar[tuple[str, ...]] = ("__call__",)

    def build(self, router: str) -> Any:
        """The labeler, on a server of the router labelled *router*."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build("")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncerConfig(Kinded):
    """Publishes the addresses of servers."""

    category: ClassVar[str] = "announcers"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAuthorizerConfig(Kinded):
    """Asks somebody else whether a request may pass."""

    category: ClassVar[str] = "requestAuthorizers"
