"""Endpoints, EndpointSlices, Services and Ingresses, cut down to what is needed of them.

Kubernetes API: core/v1 and discovery.k8s.io/v1 (linkerd: k8s/.../{EndpointsNamer,v1}.scala).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from meshproxy.discovery.watching.decoding import Malformed, shown

SERVICE_NAME: Final = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""
INGRESS_CLASS: Final = "kubernetes.io/ingress.class"
"""The annotation that goes before `ingressClassName`."""

T = TypeVar("T")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Host:
    """An endpoint that takes traffic, and the node it runs on, if that is known."""

    ip: str
    node: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that share their ports: a subset of Endpoints, or an EndpointSlice."""

    ports: Mapping[str, int]
    """The numbers by the names of the Service's ports; a port without a name is `""`."""
    hosts: tuple[Host, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; *target* is the number of a pod's port, or its name in the pod."""

    name: str
    number: int
    target: int | str


@dataclass(frozen=True, slots=True)
class Service:
    """A Service; *ingress* is the host name or IP of its load balancer."""

    ports: tuple[ServicePort, ...]
    ingress: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service in the namespace of an Ingress, and its port by name or number, as written."""

    service: str
    port: str


@dataclass(frozen=True, slots=True)
class IngressPath:
    """Requests that go to one backend."""

    host: str | None
    """The host, or `*.` and a domain for hosts with one more label; None for any host."""
    path: str
    match: Literal["Exact", "Prefix", "ImplementationSpecific"]
    backend: Backend


@dataclass(frozen=True, slots=True)
class Ingress:
    """An Ingress: its paths in their order, and where all other requests go."""

    namespace: str
    ingress_class: str | None
    paths: tuple[IngressPath, ...]
    default: Backend | None


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """The part of one API object that concerns the service *owner*, `""` if it belongs to none."""

    name: str
    owner: str
    values: tuple[T, ...]


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A list of the API that can be watched, and how its objects are read."""

    group: str
    plural: str
    read: Callable[[Any], Entry[T]]

    def path(self, namespace: str) -> str:
        """Returns the path of the list; *namespace* is a DNS label, or empty for what has none."""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.group}{within}/{self.plural}"


def is_dns_label(text: str) -> bool:
    """Returns True if *text* can be the name of a namespace, a service or a port (RFC 1123)."""
    return _LABEL.fullmatch(text) is not None


def read_endpoints(obj: Any) -> Entry[Group]:
    """Reads an Endpoints object; only its ready addresses count. Raises `Malformed`."""
    name, labels = _identity(obj)
    groups = tuple(
        Group(
            _ports(subset.get("ports")),
            tuple(
                Host(_text(address, "ip"), _text_or_none(address, "nodeName"))
                for address in _mappings(subset.get("addresses"))
            ),
            labels,
        )
        for subset in _mappings(obj.get("subsets"))
    )
    return Entry(name, name, groups)


def read_slice(obj: Any) -> Entry[Group]:
    """Reads an EndpointSlice; one that lists host names is empty. Raises `Malformed`."""
    name, labels = _identity(obj)
    owner = labels.get(SERVICE_NAME, "")
    if obj.get("addressType") not in ("IPv4", "IPv6"):
        return Entry(name, owner, ())
    hosts = tuple(
        Host(ip, _text_or_none(endpoint, "nodeName"))
        for endpoint in _mappings(obj.get("endpoints"))
        if _mapping(endpoint.get("conditions")).get("ready") is not False
        for ip in _texts(endpoint.get("addresses"))
    )
    return Entry(name, owner, (Group(_ports(obj.get("ports")), hosts, labels),))


def read_service(obj: Any) -> Entry[Service]:
    """Reads a Service; without a status it has no ports. Raises `Malformed`."""
    name, labels = _identity(obj)
    ports = tuple(
        _service_port(port)
        for port in _mappings(_mapping(obj.get("spec")).get("ports"))
        if port.get("protocol") in (None, "TCP")
    )
    if obj.get("status") is None:
        return Entry(name, name, (Service((), None, labels),))
    balancer = _mapping(_mapping(obj["status"]).get("loadBalancer"))
    ingress = None
    for entry in _mappings(balancer.get("ingress")):
        ingress = _text_or_none(entry, "hostname") or _text_or_none(entry, "ip")
    return Entry(name, name, (Service(ports, ingress, labels),))


def read_namespace(obj: Any) -> Entry[str]:
    """Reads the name of a Namespace. Raises `Malformed`."""
    name, _ = _identity(obj)
    return Entry(name, name, (name,))


def read_ingress(obj: Any) -> Entry[Ingress]:
    """Reads an Ingress of `networking.k8s.io/v1` or of the beta before it. Raises `Malformed`."""
    metadata, spec = _mapping(obj.get("metadata")), _mapping(obj.get("spec"))
    namespace = _text_or_none(metadata, "namespace") or "default"
    annotated = _text_or_none(_mapping(metadata.get("annotations")), INGRESS_CLASS)
    paths = tuple(
        IngressPath(_text_or_none(rule, "host") or None, path, match, backend)
        for rule in _mappings(spec.get("rules"))
        for entry in _mappings(_mapping(rule.get("http")).get("paths"))
        if (backend := _backend(entry.get("backend"))) is not None
        for path, match in (_path(entry),)
    )
    ingress = Ingress(
        namespace,
        annotated or _text_or_none(spec, "ingressClassName"),
        paths,
        _backend(spec.get("defaultBackend") or spec.get("backend")),
    )
    return Entry(f"{namespace}/{_text(metadata, 'name')}", "", (ingress,))


def _path(entry: Mapping[str, Any]) -> tuple[str, Any]:
    match = entry.get("pathType") or "ImplementationSpecific"
    if match not in ("Exact", "Prefix", "ImplementationSpecific"):
        raise Malformed(f"{shown(match)} is no type of path")
    return _text_or_none(entry, "path") or "", match


def _backend(value: Any) -> Backend | None:
    """Reads a backend; None if it is missing or not a Service."""
    within = _mapping(value)
    service = _mapping(within.get("service"))
    if service:
        port = _mapping(service.get("port"))
        number = port.get("name") or port.get("number")
        return Backend(_text(service, "name"), _port_text(number))
    if within.get("serviceName") is None:
        return None
    return Backend(_text(within, "serviceName"), _port_text(within.get("servicePort")))


def _port_text(value: Any) -> str:
    return value if isinstance(value, str) and value else str(_number(value))


def _service_port(port: Mapping[str, Any]) -> ServicePort:
    number = _number(port.get("port"))
    target = port.get("targetPort")
    if isinstance(target, str):
        target = int(target) if target.isascii() and target.isdigit() else target
    elif target is not None:
        target = _number(target)
    return ServicePort(_text_or_none(port, "name") or "", number, target or number)


def _ports(ports: Any) -> dict[str, int]:
    return {
        _text_or_none(port, "name") or "": _number(port["port"])
        for port in _mappings(ports)
        if port.get("protocol") in (None, "TCP") and port.get("port") is not None
    }


def _identity(obj: Any) -> tuple[str, dict[str, str]]:
    metadata = _mapping(_mapping(obj).get("metadata"))
    labels = _mapping(metadata.get("labels"))
    return _text(metadata, "name"), {str(key): str(value) for key, value in labels.items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"an object was expected, not {shown(value)}")
    return value


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"a list was expected, not {shown(value)}")
    return [_mapping(item) for item in value]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed(f"a list of texts was expected, not {shown(value)}")
    return value


def _text(within: Mapping[str, Any], key: str) -> str:
    text = _text_or_none(within, key)
    if not text:
        raise Malformed(f"{key} is missing")
    return text


def _text_or_none(within: Mapping[str, Any], key: str) -> str | None:
    text = within.get(key)
    if text is not None and not isinstance(text, str):
        raise Malformed(f"{key} is not a text but {shown(text)}")
    return text


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise Malformed(f"{shown(value)} is not a port")
    return value


ENDPOINTS: Final = Resource("/api/v1", "endpoints", read_endpoints)
SLICES: Final = Resource("/apis/discovery.k8s.io/v1", "endpointslices", read_slice)
SERVICES: Final = Resource("/api/v1", "services", read_service)
NAMESPACES: Final = Resource("/api/v1", "namespaces", read_namespace)
INGRESSES: Final = Resource("/apis/networking.k8s.io/v1", "ingresses", read_ingress)
BETA_INGRESSES: Final = Resource("/apis/extensions/v1beta1", "ingresses", read_ingress)
