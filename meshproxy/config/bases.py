"""The base class of each category of kinds, and what its `build` gets.

One base for each place of the file that has a `kind` (linkerd: NamerInitializer.scala and others).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, ClassVar, Protocol, TypeAlias

from meshproxy.config.model import Kinded, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.ewma import Load
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.http.origin import Origin
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Interpreter, Lookup, Namer, Transformer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.naming.services import Services
from meshproxy.var import Activity, Var


class Resolver(Protocol):
    """Looks up the addresses of a host; *port* is a number or a port name."""

    def resolve(self, host: str, port: str) -> Var[Addr]:
        """Returns the addresses of *host*, kept up to date while they are observed."""
        ...

    def services(self, name: str, hosts: Sequence[str] = ()) -> Services:
        """Asks once for the SRV records of *name*, name servers at *hosts* if there are any.

        Raises QueryFailed when nobody can say; a name that does not exist has none.
        """
        ...


class SystemNames(Protocol):
    """The names under `/$/`, which need no configuration."""

    def lookup(self, path: Path) -> Lookup:
        """Returns the tree for *path*, which is the part after `/$`."""
        ...


Tls: TypeAlias = tuple[SSLContext, str | None]
"""What a TLS handshake needs: a context, and the name to send and to verify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerDeps:
    """What a namer or a transformer may use."""

    prefix: Path
    """Its full prefix: `/#/...` for a namer, `/%/...` for a transformer."""
    metrics: Tree
    resolver: Resolver
    bind: Callable[[Path], Activity[NameTree[Bound]]]
    """Binds a name with the system namers and the configured ones, without a dtab."""
    environ: Mapping[str, str]
    tls: Callable[[ClientTlsConfig], Tls | None]
    """Loads the files of a `tls` block; None if it is disabled. Raises TlsFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterDeps:
    """What an interpreter may use; namers are in the order of the file."""

    namers: Sequence[Namer]
    system: SystemNames
    transformers: Sequence[Transformer]
    metrics: Tree
    bind: Callable[[Path], Activity[NameTree[Bound]]]
    """Binds a name with the system namers, without a dtab."""
    environ: Mapping[str, str]
    tls: Callable[[ClientTlsConfig], Tls | None]
    """Loads the files of a `tls` block; None if it is disabled. Raises TlsFailed."""
    http2: Callable[[ClientTlsConfig | None, LocalSettings, KeepAlive], Callable[[Address], Origin]]
    """Returns what reaches servers by HTTP/2, plain without a `tls` block. Raises TlsFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig(Kinded):
    """Changes the addresses of bound names."""

    category: ClassVar[str] = "transformers"
    offers: ClassVar[str] = "prefix transform"
    default_prefix: ClassVar[Path]
    prefix: Path | None = key(
        default=None, doc="Precedes the ids of the names it changed, after `/%`."
    )

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`; kinds that compute it from keys override this."""
        del environ
        return Path.of("%") + (self.prefix or self.default_prefix)

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerConfig(Kinded):
    """Finds the addresses of the names under its prefix."""

    category: ClassVar[str] = "namers"
    offers: ClassVar[str] = "prefix lookup"
    default_prefix: ClassVar[Path]
    prefix: Path | None = key(default=None, doc="Handles the names that begin with `/#` and this.")
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")
    transformers: tuple[TransformerConfig, ...] = key(
        default=(), doc="Applied to its results, in order."
    )

    def full_prefix(self) -> Path:
        """Returns the prefix with its `/#`."""
        return Path.of("#") + (self.prefix or self.default_prefix)

    def build(self, deps: NamerDeps) -> Namer:
        """Returns the namer."""
        raise NotImplementedError

    def trial(self) -> object:
        """Checks the prefix, which a class without `default_prefix` lacks."""
        self.full_prefix()
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterConfig(Kinded):
    """Binds the names of requests."""

    category: ClassVar[str] = "interpreters"
    offers: ClassVar[str] = "bind"
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")
    transformers: tuple[TransformerConfig, ...] = key(
        default=(), doc="Applied to every bound name of the router, in order."
    )

    def build(self, deps: InterpreterDeps) -> Interpreter:
        """Returns the interpreter."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierConfig(Kinded):
    """Gives a request its name."""

    category: ClassVar[str] = "identifiers"
    offers: ClassVar[str] = "__call__"

    def build(self, prefix: Path) -> Any:
        """Returns the identifier; names begin with *prefix*."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build(Path())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig(Kinded):
    """Decides if a response is a success, a failure, or a failure that may be retried."""

    category: ClassVar[str] = "classifiers"
    offers: ClassVar[str] = "response error"

    def build(self) -> Any:
        """Returns the classifier."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffConfig(Kinded):
    """How long to wait before each retry."""

    category: ClassVar[str] = "backoffs"
    offers: ClassVar[str] = "__call__"

    def build(self) -> Callable[[], Iterator[float]]:
        """Starts a series of waits in seconds."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerConfig(Kinded):
    """Chooses among the endpoints of a client."""

    category: ClassVar[str] = "balancers"
    offers: ClassVar[str] = "pick update gauges"
    algorithm: ClassVar[str]
    """The name of the algorithm in the metrics."""
    enable_probation: bool = key(
        default=False,
        doc="Keeps endpoints that discovery removed for as long as they are healthy.",
    )

    def build(self, metrics: Tree) -> Any:
        """Returns a balancer without nodes; *metrics* is the client's scope `loadbalancer`."""
        raise NotImplementedError

    def new_load(self) -> Load:
        """Returns the load counter for an endpoint of this balancer."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build(Tree())


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualConfig(Kinded):
    """Marks an endpoint dead after failures, and probes it."""

    category: ClassVar[str] = "accrual"
    offers: ClassVar[str] = "mark_dead_on_failure record_success revived"
    backoff: BackoffConfig | None = key(
        default=None,
        doc="How long an endpoint stays dead before it is probed; equal jitter of 5 s to 300 s.",
    )

    def new_policy(self) -> Any:
        """Returns the policy of one endpoint."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.new_policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemeterConfig(Kinded):
    """Exports metrics."""

    category: ClassVar[str] = "telemeters"
    offers: ClassVar[str] = "start close pages filters recorder"
    in_workers: ClassVar[bool] = False
    """True if it looks at requests: each worker then has one."""
    experimental: bool | None = key(default=None, doc="Must be `true` for the kinds marked so.")

    def build(self, deps: Any) -> Any:
        """Returns the exporter, which has not been started."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePropagatorConfig(Kinded):
    """Reads and writes the headers that carry a trace."""

    category: ClassVar[str] = "tracePropagators"
    offers: ClassVar[str] = "fields read write"

    def build(self) -> Any:
        """Returns the propagator, see `http.propagation`."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelerConfig(Kinded):
    """How an address appears in a `Forwarded` header."""

    category: ClassVar[str] = "labelers"
    offers: ClassVar[str] = "__call__"

    def build(self, router: str) -> Any:
        """Returns the labeler for a server of the router labelled *router*."""
        raise NotImplementedError

    def trial(self) -> object:
        """Builds one."""
        return self.build("")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAuthorizerConfig(Kinded):
    """Asks another service if a request may pass."""

    category: ClassVar[str] = "requestAuthorizers"
