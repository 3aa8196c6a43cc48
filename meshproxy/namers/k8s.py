"""Names of Kubernetes services: io.l5d.k8s, io.l5d.k8s.ns and io.l5d.k8s.external.

(linkerd: namer/k8s/src/main/scala/io/buoyant/namer/k8s/*.scala)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar, Literal

from meshproxy.config import kubernetes
from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.decode import Port, Problem, RegularFile, key
from meshproxy.config.errors import NotHere
from meshproxy.discovery.k8s.api import ApiServer
from meshproxy.discovery.k8s.cluster import Cluster, FallbackAfter, cluster_at
from meshproxy.discovery.k8s.lookups import Found, WantedPort, addr_of, endpoints, ingress
from meshproxy.discovery.k8s.objects import is_dns_label
from meshproxy.naming.addr import Addr, AddrBound
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var

Find = Callable[[Cluster, WantedPort, FallbackAfter], Activity[Found]]
"""How a possible name is looked up: `endpoints` or `ingress`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class K8sNamer:
    """Names `/namespace/port/service`, without the namespace if it is fixed.

    With a *label_key*, one more segment is the value that the label must have.
    """

    prefix: Path
    cluster: Cluster
    find: Find
    namespace: str | None = None
    label_key: str | None = None
    fallback_s: float | None = None
    keeps_case: bool = False
    """True if the id keeps the case of the name."""
    resolve: Callable[[str, str], Var[Addr]] | None = None
    """Resolves a load balancer that has only a host name."""

    def lookup(self, path: Path) -> Lookup:
        """Returns negative until the port exists, and then its live addresses."""
        length = 3 - bool(self.namespace) + bool(self.label_key)
        wanted = self._wanted(path.take(length)) if len(path) >= length else None
        if wanted is None or not wanted.is_possible:
            return NEG
        consumed = path.take(length)
        if not self.keeps_case:
            consumed = Path([segment.lower() for segment in consumed])
        found = self.find(self.cluster, wanted, self._fallback_after)
        addr = found.map(addr_of)
        if self.resolve is not None:
            addr = addr.flat_map(self._resolved)
        leaf = Leaf(Bound(self.prefix + consumed, addr, path.drop(length)))
        return found.map(lambda state: _tree(state, leaf))

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of each namespace in use, and how it was learned."""
        return self.cluster.describe()

    def names(self) -> list[Path]:
        """Returns the names of all ports that have endpoints; none if names need a label."""
        if self.label_key is not None or self.find is not endpoints:
            return []
        return [
            self.prefix + Path.of(*(() if self.namespace else (namespace,)), port, service)
            for namespace, port, service in self.cluster.ports()
            if port and self.namespace in (None, namespace)
        ]

    def _wanted(self, consumed: Path) -> WantedPort | None:
        try:
            names = [segment.decode("ascii").lower() for segment in consumed]
        except UnicodeDecodeError:
            return None
        namespace = self.namespace or names.pop(0)
        port, service, *value = names
        label = (self.label_key, value[0]) if self.label_key else None
        return WantedPort(namespace, port, service, label)

    def _fallback_after(self) -> float | None:
        return self.fallback_s

    def _resolved(self, addr: Addr) -> Var[Addr]:
        match addr:
            case AddrBound(addresses) if self.resolve is not None:
                for address in addresses:
                    if not _is_ip(address.host):
                        return self.resolve(address.host, str(address.port))
        return Var(addr)


def _tree(state: State[Found], leaf: Leaf[Bound]) -> State[NameTree[Path | Bound]]:
    if not isinstance(state, Ok):
        return state
    return Ok(NEG if state.value is None else leaf)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class K8sConfig(NamerConfig):
    """The keys shared by the namers of Kubernetes."""

    host: str = key(default="localhost", doc="The API server, by plain HTTP: a `kubectl proxy`.")
    port: Port = key(default=Port(8001), minimum=1, doc="The port of the API server.")
    label_selector: str | None = key(
        default=None, doc="A label; its value is one more segment of the name."
    )
    fallback_after_ms: int | None = key(
        default=None,
        minimum=0,
        added=True,
        doc="How long to wait for the first response of the API before names are negative,"
        " so that the next dtab entry is tried; for ever when unset.",
    )
    auth: Literal["inCluster", "kubeconfig"] | None = key(
        default=None,
        added=True,
        doc="Use TLS to the API, with a pod's service account or a kubeconfig file,"
        " which contain its address.",
    )
    kubeconfig: RegularFile | None = key(
        default=None, added=True, doc="The kubeconfig file; `~/.kube/config` when unset."
    )
    context: str | None = key(
        default=None, added=True, doc="The context of the kubeconfig; its current one when unset."
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: two keys that both say where the API is, or auth that cannot work."""
        at = self.host, self.port
        yield from kubernetes.problems(at, self.auth, self.kubeconfig, self.context)

    def k8s_namer(
        self, deps: NamerDeps, find: Find = endpoints, namespace: str | None = None
    ) -> K8sNamer:
        """Returns the namer for these keys."""
        cluster = cluster_at(
            ApiServer(self.host, self.port, self.auth, self.kubeconfig, self.context)
        )
        fallback_s = None if self.fallback_after_ms is None else self.fallback_after_ms / 1000
        if fallback_s is not None:
            cluster.share_fallback(fallback_s)
        if namespace is not None:
            cluster.expect(namespace)
        cluster.report(deps.metrics)
        return K8sNamer(
            prefix=deps.prefix,
            cluster=cluster,
            find=find,
            namespace=namespace,
            label_key=self.label_selector,
            fallback_s=fallback_s,
            keeps_case=find is ingress,
            resolve=deps.resolver.resolve if find is ingress else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class K8sNamerConfig(K8sConfig):
    """Kubernetes services by `/namespace/port/service`; a port by name or number."""

    kind: ClassVar[str] = "io.l5d.k8s"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.k8s")

    def build(self, deps: NamerDeps) -> K8sNamer:
        """Returns the namer."""
        return self.k8s_namer(deps)


@dataclass(frozen=True, slots=True, kw_only=True)
class K8sNsNamerConfig(K8sConfig):
    """Kubernetes services of one namespace by `/port/service`."""

    kind: ClassVar[str] = "io.l5d.k8s.ns"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.k8s.ns")
    env_var: str = key(default="POD_NAMESPACE", doc="The environment variable with the namespace.")

    def build(self, deps: NamerDeps) -> K8sNamer:
        """Returns the namer. Raises ValueError if the variable has no namespace."""
        namespace = deps.environ.get(self.env_var)
        if namespace is None:
            raise NotHere(f"{self.kind} needs the environment variable {self.env_var}, set it")
        if not is_dns_label(namespace):
            raise ValueError(
                f"{self.kind} needs the environment variable {self.env_var} to hold the name of"
                f" a namespace, it is {namespace!r}"
            )
        return self.k8s_namer(deps, namespace=namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class K8sExternalNamerConfig(K8sConfig):
    """Load balancers of Kubernetes services by `/namespace/port/service`."""

    kind: ClassVar[str] = "io.l5d.k8s.external"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.k8s.external")
    requires_experimental: ClassVar[bool] = True

    def build(self, deps: NamerDeps) -> K8sNamer:
        """Returns the namer."""
        return self.k8s_namer(deps, ingress)
