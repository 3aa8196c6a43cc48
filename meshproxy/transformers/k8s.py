"""io.l5d.k8s.daemonset and io.l5d.k8s.localnode: through the pod on the same node.

(linkerd: interpreter/k8s/.../*TransformerInitializer.scala, interpreter/subnet/.../*.scala)
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address, ip_address
from typing import ClassVar, Literal

from meshproxy.config import kubernetes
from meshproxy.config.bases import NamerDeps, TransformerConfig
from meshproxy.config.decode import Ip, Port, Problem, RegularFile, key
from meshproxy.config.errors import NotHere
from meshproxy.discovery.k8s.api import ApiServer
from meshproxy.discovery.k8s.cluster import cluster_at
from meshproxy.discovery.k8s.lookups import NODE_NAME, WantedPort, addr_of, endpoints
from meshproxy.naming.addr import Addr, AddrBound, Address
from meshproxy.naming.namer import Transformer
from meshproxy.naming.path import Path
from meshproxy.transformers.leaves import LeafTransformer, keeping, some
from meshproxy.var import Var, collect


class Gateways:
    """Gateways by node, and by subnet for those whose node is not known."""

    def __init__(self, gateways: frozenset[Address], *, by_node: bool) -> None:
        self._by_node = by_node
        self._of_node: dict[str | None, set[Address]] = defaultdict(set)
        self._of_subnet: dict[str | None, set[Address]] = defaultdict(set)
        self._nodeless: dict[str | None, set[Address]] = defaultdict(set)
        for gateway in gateways:
            node, subnet = gateway.get(NODE_NAME), _subnet(gateway.host)
            self._of_node[node].add(gateway)
            if subnet is not None:
                self._of_subnet[subnet].add(gateway)
                if node is None:
                    self._nodeless[subnet].add(gateway)

    def beside(self, address: Address) -> set[Address]:
        """Returns the gateways on the node of *address*."""
        node, subnet = address.get(NODE_NAME), _subnet(address.host)
        if self._by_node:
            return self._of_node.get(node, set())
        if not node:
            return self._of_subnet.get(subnet, set())
        return self._of_node.get(node, set()) | self._nodeless.get(subnet, set())


def through(addr: Addr, gateways: Addr, *, by_node: bool) -> Addr:
    """Returns the gateways for *addr*; pending or failed as long as *gateways* is."""
    if not isinstance(addr, AddrBound):
        return addr
    if not isinstance(gateways, AddrBound):
        return gateways
    known = Gateways(gateways.addresses, by_node=by_node)
    beside = frozenset(one for address in addr.addresses for one in known.beside(address))
    return some(replace(addr, addresses=beside))


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSetConfig(TransformerConfig):
    """Replaces every address by the pods of a DaemonSet on the same node.

    Nodes are distinguished by their names, or by the /24 of their addresses if a name is missing.
    """

    kind: ClassVar[str] = "io.l5d.k8s.daemonset"
    namespace: str = key(doc="The namespace of the DaemonSet's service.")
    service: str = key(doc="The DaemonSet's service.")
    port: str = key(doc="The port by name or, in quotes, by number.")
    k8s_host: str = key(
        default="localhost", doc="The API server, by plain HTTP: a `kubectl proxy`."
    )
    k8s_port: Port = key(default=Port(8001), minimum=1, doc="The port of the API server.")
    host_network: bool = key(
        default=False, doc="The pods have the addresses of their nodes: compare node names only."
    )
    auth: Literal["inCluster", "kubeconfig"] | None = key(
        default=None, added=True, doc="As the namers' `auth`."
    )
    kubeconfig: RegularFile | None = key(
        default=None, added=True, doc="As the namers' `kubeconfig`."
    )
    context: str | None = key(default=None, added=True, doc="As the namers' `context`.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: impossible names, or two keys that both say where the API is."""
        if not self._wanted.is_possible:
            yield Problem("namespace, port and service are names that Kubernetes cannot have")
        at, written = (self.k8s_host, self.k8s_port), "k8sHost and k8sPort"
        yield from kubernetes.problems(at, self.auth, self.kubeconfig, self.context, written)

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`."""
        del environ
        return Path.of("%") + (
            self.prefix or Path.of(self.kind, self.namespace, self.port, self.service)
        )

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer, which waits for the API as long as the namers of that API do."""
        cluster = cluster_at(
            ApiServer(self.k8s_host, self.k8s_port, self.auth, self.kubeconfig, self.context)
        )
        cluster.expect(self._wanted.namespace)
        gateways = endpoints(cluster, self._wanted, cluster.fallback_after).map(addr_of)
        return LeafTransformer(
            deps.prefix, lambda addr: self._through(addr, gateways), redirects=True
        )

    @property
    def _wanted(self) -> WantedPort:
        return WantedPort(self.namespace.lower(), self.port.lower(), self.service.lower())

    def _through(self, addr: Var[Addr], gateways: Var[Addr]) -> Var[Addr]:
        return collect((addr, gateways)).map(lambda both: through(*both, by_node=self.host_network))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNodeConfig(TransformerConfig):
    """Keeps the addresses on the node this process runs on.

    Nodes are distinguished by their names, or by the /24 of their addresses if a name is missing.
    """

    kind: ClassVar[str] = "io.l5d.k8s.localnode"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.k8s.localnode")
    host_network: bool = key(
        default=False, doc="Use the environment variable NODE_NAME instead of POD_IP."
    )
    pod_ip: Ip | None = key(default=None, added=True, doc="Used while POD_IP is unset.")
    node_name: str | None = key(default=None, added=True, doc="Used while NODE_NAME is unset.")

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`, and the address or node. Raises ValueError."""
        here, _ = self._place(environ)
        return Path.of("%") + (self.prefix or self.default_prefix) + Path.of(here)

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer. Raises ValueError if the node of this process is unknown."""
        here, node = self._place(deps.environ)
        subnet = None if self.host_network else _subnet(here)

        def is_local(address: Address) -> bool:
            on = address.get(NODE_NAME)
            if self.host_network or (on and node):
                return on == node
            return subnet is not None and _subnet(address.host) == subnet

        return LeafTransformer(deps.prefix, keeping(is_local))

    def _place(self, environ: Mapping[str, str]) -> tuple[str, str | None]:
        """Returns the end of the prefix, and the node if it is known."""
        node = environ.get("NODE_NAME") or self.node_name
        if self.host_network:
            return _required(node, "NODE_NAME", "nodeName"), node
        ip = _required(environ.get("POD_IP") or self.pod_ip, "POD_IP", "podIp")
        try:
            return str(ip_address(ip)), node
        except ValueError:
            raise ValueError(f"{self.kind} needs an IP address in POD_IP, not {ip!r}") from None


def _required(value: str | None, variable: str, name: str) -> str:
    if not value:
        raise NotHere(
            f"{LocalNodeConfig.kind} needs the environment variable {variable}, set it or {name}"
        )
    return value


def _subnet(host: str) -> str | None:
    """Returns the /24 of an IPv4 address; None for other addresses."""
    try:
        return str(IPv4Address(host)).rpartition(".")[0]
    except AddressValueError:
        return None
