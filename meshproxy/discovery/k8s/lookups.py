"""Looks up the addresses for a namespace, a port and a service, and follows them.

A port is wanted by the name that the Service gives it, which its endpoints also carry, or by its
number in the Service. The names of a pod's ports (a named `targetPort`) are different: Kubernetes
has already resolved them in the endpoints.

linkerd: k8s/.../{EndpointsNamer,ServiceNamer}.scala
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from meshproxy.discovery.k8s.cluster import Cluster, FallbackAfter
from meshproxy.discovery.k8s.objects import Group, Service, ServicePort, is_dns_label
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address
from meshproxy.var import Activity, Ok, State, Var

T = TypeVar("T")

NODE_NAME = "nodeName"
"""The key of the node in the metadata of an address."""

Found: TypeAlias = frozenset[Address] | None
"""The addresses, possibly none; None if there is no such service or port."""


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port of a service, in lower case, as the path of a name gives it."""

    namespace: str
    port: str
    service: str
    label: tuple[str, str] | None = None
    """Key and value of a required label."""

    @property
    def number(self) -> int | None:
        """The port if it is a number."""
        return int(self.port) if _is_number(self.port) else None

    @property
    def is_possible(self) -> bool:
        """True if Kubernetes allows such names; if not, the API need not be asked."""
        if _is_number(self.port):
            is_port = len(self.port) <= 5 and 0 < int(self.port) < 65536
        else:
            is_port = is_dns_label(self.port)
        return is_port and is_dns_label(self.namespace) and is_dns_label(self.service)

    def is_labelled(self, of: Group | Service) -> bool:
        """Returns True if *of* has the required label, or none is required."""
        return self.label is None or of.labels.get(self.label[0]) == self.label[1]


def endpoints(
    cluster: Cluster, wanted: WantedPort, fallback_after: FallbackAfter
) -> Activity[Found]:
    """Returns the endpoints of a possible port: ready ones, each with the port of its group."""
    entry = cluster.groups(wanted.namespace, wanted.service, fallback_after)
    number = wanted.number
    if number is None:
        return entry.map(lambda state: _each(state, lambda it: _named(it, wanted, wanted.port)))

    def behind_port(state: State[tuple[Service, ...] | None]) -> Activity[Found]:
        if not isinstance(state, Ok):
            return Var(state)
        port = _numbered_port(state.value or (), number)
        if port is None:
            return Var(Ok(None))
        return entry.map(lambda state: _each(state, lambda it: _behind(it, wanted, port)))

    return cluster.services(wanted.namespace, wanted.service, fallback_after).flat_map(behind_port)


def ingress(cluster: Cluster, wanted: WantedPort, fallback_after: FallbackAfter) -> Activity[Found]:
    """Returns the load balancer of a possible port, with the host name or IP from the API."""

    def address(services: tuple[Service, ...]) -> Found:
        for service in services:
            if service.ingress is None or not wanted.is_labelled(service):
                continue
            for port in service.ports:
                if wanted.port in (port.name, str(port.number)):
                    return frozenset({Address(service.ingress, port.number)})
        return None

    entry = cluster.services(wanted.namespace, wanted.service, fallback_after)
    return entry.map(lambda state: _each(state, address))


def addr_of(state: State[Found]) -> Addr:
    """Returns the address set of a name whose endpoints are *state*."""
    if not isinstance(state, Ok):
        return ADDR_PENDING
    return ADDR_NEG if state.value is None else AddrBound(state.value)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _each(
    state: State[tuple[T, ...] | None], find: Callable[[tuple[T, ...]], Found]
) -> State[Found]:
    if not isinstance(state, Ok):
        return state
    return Ok(None if state.value is None else find(state.value))


def _numbered_port(services: tuple[Service, ...], number: int) -> ServicePort | None:
    ports = (port for service in services for port in service.ports)
    return next((port for port in ports if port.number == number), None)


def _behind(groups: tuple[Group, ...], wanted: WantedPort, port: ServicePort) -> Found:
    """Returns the endpoints of a Service's port; those of its target if none carry its name.

    A target that is a number is an answer even without endpoints, as in Linkerd.
    """
    found = _named(groups, wanted, port.name)
    if found is None and isinstance(port.target, int):
        return _numbered(groups, wanted, port.target)
    return found


def _named(groups: tuple[Group, ...], wanted: WantedPort, name: str) -> Found:
    serving = [group for group in groups if name in group.ports and wanted.is_labelled(group)]
    if not serving:
        return None
    return _addresses((group, group.ports[name]) for group in serving)


def _numbered(groups: tuple[Group, ...], wanted: WantedPort, number: int) -> Found:
    serving = [group for group in groups if wanted.is_labelled(group)]
    if wanted.label and not serving:
        return None
    return _addresses((group, number) for group in serving)


def _addresses(groups: Iterable[tuple[Group, int]]) -> frozenset[Address]:
    """Returns one address for each IP and port, even if two slices list it."""
    nodes = {(host.ip, port): host.node for group, port in groups for host in group.hosts}
    return frozenset(
        Address(ip, port, meta=((NODE_NAME, node),) if node else ())
        for (ip, port), node in nodes.items()
    )
