"""All kinds that may appear in a file, by category, and the class that describes each.

None marks a kind that Linkerd has and meshproxy does not support yet. Classes are imported on
demand; other distributions add kinds through entry points of the group `meshproxy.<category>`
(linkerd: config/.../ConfigInitializer.scala).
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from meshproxy.config.suggest import suggestion

if TYPE_CHECKING:
    from meshproxy.config.model import Kinded

KINDS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "protocols": {
        "http": "meshproxy.protocols.http:HttpRouterConfig",
        "h2": "meshproxy.protocols.h2:H2RouterConfig",
        "thrift": None,
        "mux": None,
        "thriftmux": None,
    },
    "namers": {
        "io.l5d.fs": "meshproxy.namers.fs:FsNamerConfig",
        "io.l5d.k8s": "meshproxy.namers.k8s:K8sNamerConfig",
        "io.l5d.k8s.ns": "meshproxy.namers.k8s:K8sNsNamerConfig",
        "io.l5d.k8s.external": "meshproxy.namers.k8s:K8sExternalNamerConfig",
        "io.l5d.rewrite": "meshproxy.namers.rewrite:RewriteNamerConfig",
        "io.l5d.consul": "meshproxy.namers.consul:ConsulNamerConfig",
        "io.l5d.curator": "meshproxy.namers.curator:CuratorNamerConfig",
        "io.l5d.dnssrv": "meshproxy.namers.dnssrv:DnsSrvNamerConfig",
        "io.l5d.k8s.istio": None,
        "io.l5d.marathon": "meshproxy.namers.marathon:MarathonNamerConfig",
        "io.l5d.rancher": "meshproxy.namers.rancher:RancherNamerConfig",
        "io.l5d.serversets": "meshproxy.namers.serversets:ServersetsNamerConfig",
        "io.l5d.zkLeader": "meshproxy.namers.zk_leader:ZkLeaderNamerConfig",
    },
    "interpreters": {
        "default": "meshproxy.interpreters.default:DefaultInterpreterConfig",
        "io.l5d.fs": "meshproxy.interpreters.fs:FsInterpreterConfig",
        "io.l5d.consul.interpreter": "meshproxy.interpreters.consul:ConsulInterpreterConfig",
        "io.l5d.k8s.configMap": "meshproxy.interpreters.k8s:ConfigMapInterpreterConfig",
        "io.l5d.k8s.istio": None,
        "io.l5d.mesh": "meshproxy.interpreters.mesh:MeshConfig",
        "io.l5d.namerd": None,
        "io.l5d.namerd.http": "meshproxy.interpreters.namerd:NamerdHttpConfig",
    },
    "transformers": {
        "io.l5d.const": "meshproxy.transformers.replace:ConstConfig",
        "io.l5d.k8s.daemonset": "meshproxy.transformers.k8s:DaemonSetConfig",
        "io.l5d.k8s.localnode": "meshproxy.transformers.k8s:LocalNodeConfig",
        "io.l5d.localhost": "meshproxy.transformers.hosts:LocalhostConfig",
        "io.l5d.port": "meshproxy.transformers.port:PortConfig",
        "io.l5d.replace": "meshproxy.transformers.replace:ReplaceConfig",
        "io.l5d.specificHost": "meshproxy.transformers.hosts:SpecificHostConfig",
    },
    "identifiers": {
        "io.l5d.header": "meshproxy.identifiers.header:HeaderConfig",
        "io.l5d.header.path": "meshproxy.identifiers.header_path:HeaderPathConfig",
        "io.l5d.header.token": "meshproxy.identifiers.header:HeaderTokenConfig",
        "io.l5d.methodAndHost": "meshproxy.identifiers.method_and_host:MethodAndHostConfig",
        "io.l5d.path": "meshproxy.identifiers.path:PathConfig",
        "io.l5d.static": "meshproxy.identifiers.static:StaticIdentifierConfig",
        "io.l5d.ingress": "meshproxy.identifiers.ingress:IngressConfig",
        "io.l5d.k8s.istio": None,
        "io.l5d.k8s.istio-ingress": None,
    },
    "classifiers": {
        "io.l5d.http.allSuccessful": "meshproxy.classifiers.status:AllSuccessfulConfig",
        "io.l5d.http.nonRetryable5XX": "meshproxy.classifiers.status:NonRetryable5XXConfig",
        "io.l5d.http.retryableAll5XX": "meshproxy.classifiers.status:RetryableAll5XXConfig",
        "io.l5d.http.retryableIdempotent5XX": (
            "meshproxy.classifiers.status:RetryableIdempotent5XXConfig"
        ),
        "io.l5d.http.retryableRead5XX": "meshproxy.classifiers.status:RetryableRead5XXConfig",
        "io.l5d.h2.allSuccessful": "meshproxy.classifiers.status:H2AllSuccessfulConfig",
        "io.l5d.h2.nonRetryable5XX": "meshproxy.classifiers.status:H2NonRetryable5XXConfig",
        "io.l5d.h2.retryableAll5XX": "meshproxy.classifiers.status:H2RetryableAll5XXConfig",
        "io.l5d.h2.retryableIdempotent5XX": (
            "meshproxy.classifiers.status:H2RetryableIdempotent5XXConfig"
        ),
        "io.l5d.h2.retryableRead5XX": "meshproxy.classifiers.status:H2RetryableRead5XXConfig",
        "io.l5d.h2.grpc.alwaysRetryable": "meshproxy.classifiers.grpc:GrpcAlwaysRetryableConfig",
        "io.l5d.h2.grpc.compliant": "meshproxy.classifiers.grpc:GrpcCompliantConfig",
        "io.l5d.h2.grpc.default": "meshproxy.classifiers.grpc:GrpcDefaultConfig",
        "io.l5d.h2.grpc.neverRetryable": "meshproxy.classifiers.grpc:GrpcNeverRetryableConfig",
        "io.l5d.h2.grpc.retryableStatusCodes": (
            "meshproxy.classifiers.grpc:GrpcRetryableStatusCodesConfig"
        ),
    },
    "balancers": {
        "aperture": "meshproxy.balancers.aperture:ApertureConfig",
        "ewma": "meshproxy.balancers.ewma:EwmaConfig",
        "heap": "meshproxy.balancers.heap:HeapConfig",
        "p2c": "meshproxy.balancers.p2c:P2cConfig",
        "roundRobin": "meshproxy.balancers.round_robin:RoundRobinConfig",
    },
    "accrual": {
        "io.l5d.consecutiveFailures": "meshproxy.accrual.policies:ConsecutiveFailuresConfig",
        "none": "meshproxy.accrual.policies:NoneConfig",
        "io.l5d.successRate": "meshproxy.accrual.policies:SuccessRateConfig",
        "io.l5d.successRateWindowed": "meshproxy.accrual.policies:SuccessRateWindowedConfig",
    },
    "backoffs": {
        "constant": "meshproxy.config.backoff:ConstantConfig",
        "jittered": "meshproxy.config.backoff:JitteredConfig",
    },
    "telemeters": {
        "io.l5d.prometheus": "meshproxy.telemeters.prometheus:PrometheusConfig",
        "io.l5d.recentRequests": "meshproxy.telemeters.recent_requests:RecentRequestsConfig",
        "io.l5d.statsd": "meshproxy.telemeters.statsd:StatsdConfig",
        "io.l5d.influxdb": "meshproxy.telemeters.influxdb:InfluxDbConfig",
        "io.l5d.otlp": "meshproxy.telemeters.otlp:OtlpConfig",
        "io.l5d.tracelog": "meshproxy.telemeters.tracelog:TracelogConfig",
        "io.l5d.zipkin": "meshproxy.telemeters.zipkin:ZipkinConfig",
    },
    "clients": {
        "io.l5d.global": "meshproxy.config.client:GlobalClientConfig",
        "io.l5d.static": "meshproxy.config.client:StaticClientConfig",
    },
    "services": {
        "io.l5d.global": "meshproxy.config.svc:GlobalSvcConfig",
        "io.l5d.static": "meshproxy.config.svc:StaticSvcConfig",
    },
    "tracePropagators": {
        "io.l5d.default": "meshproxy.filters.trace:DefaultTracePropagatorConfig",
        "io.l5d.w3c": "meshproxy.filters.trace:W3cTracePropagatorConfig",
        "io.l5d.zipkin": "meshproxy.filters.trace:ZipkinTracePropagatorConfig",
    },
    "labelers": {
        "connectionRandom": "meshproxy.filters.forwarded:ConnectionRandomConfig",
        "ip": "meshproxy.filters.forwarded:IpConfig",
        "ip:port": "meshproxy.filters.forwarded:IpPortConfig",
        "requestRandom": "meshproxy.filters.forwarded:RequestRandomConfig",
        "router": "meshproxy.filters.forwarded:RouterLabelConfig",
        "static": "meshproxy.filters.forwarded:StaticLabelerConfig",
    },
    "announcers": {
        "io.l5d.serversets": "meshproxy.announcers.serversets:ServersetsAnnouncerConfig"
    },
    "requestAuthorizers": {"io.l5d.k8s.istio": None},
}

FORMER: Final[Mapping[str, str]] = {
    "io.l5d.headerToken": "since Linkerd 1.0 it is io.l5d.header.token",
    "io.l5d.headerPath": "since Linkerd 1.0 it is io.l5d.header",
    "io.l5d.http.ingress": "since Linkerd 1.0 it is io.l5d.ingress",
    "io.l5d.h2.ingress": "since Linkerd 1.0 it is io.l5d.ingress",
    "io.l5d.nonRetryable5XX": "since Linkerd 1.0 it is io.l5d.http.nonRetryable5XX",
    "io.l5d.retryableRead5XX": "since Linkerd 1.0 it is io.l5d.http.retryableRead5XX",
    "io.l5d.retryableIdempotent5XX": "since Linkerd 1.0 it is io.l5d.http.retryableIdempotent5XX",
    "io.l5d.retryableAll5XX": "since Linkerd 1.0 it is io.l5d.http.retryableAll5XX",
    "io.l5d.commonMetrics": "its metrics are always there since Linkerd 0.9, remove it",
    "io.l5d.consul": "to read dtabs from Consul it is io.l5d.consul.interpreter",
}
"""Kinds of older versions or in the wrong place, with their replacements."""


INSTEAD: Final[Mapping[str, str]] = {
    "io.l5d.namerd": (
        "as it speaks thrift; the same namerd serves io.l5d.namerd.http (experimental: true) on "
        "the port of its io.l5d.httpController, 4180: dst with that port, namespace and retry as "
        "they are, tls.caCert as tls.trustCertsBundle, failureThreshold removed; or io.l5d.mesh "
        "on the port of its io.l5d.mesh, 4321: dst with that port, root: /NAMESPACE for "
        "namespace, retry and failureThreshold as they are, tls.caCert as tls.trustCertsBundle"
    ),
}
"""Kinds that will not be supported, and what to write instead."""


class KindError(ValueError):
    """A kind cannot be used; the text says why and what to write instead."""


class UnsupportedKind(KindError):
    """A kind of Linkerd that meshproxy does not support yet."""


def find(category: str, kind: str) -> "type[Kinded]":
    """Returns the class of *kind*. Raises `KindError` if it is unknown or not supported yet."""
    table = _table(category)
    if kind not in table:
        former = FORMER.get(kind)
        hint = former or suggestion(kind, built(category) or known(category))
        raise KindError(f"{kind!r} is unknown, {hint}")
    target = table[kind]
    if target is None:
        if kind in INSTEAD:
            raise UnsupportedKind(f"{kind} is not supported, {INSTEAD[kind]}")
        supported = built(category)
        instead = f", use one of: {', '.join(supported)}" if supported else ", remove it"
        raise UnsupportedKind(f"{kind} is not supported yet{instead}")
    return _load(target)


def known(category: str) -> list[str]:
    """Returns all kinds of *category*."""
    return sorted(_table(category))


def built(category: str) -> list[str]:
    """Returns the kinds of *category* that are supported."""
    return sorted(kind for kind, target in _table(category).items() if target is not None)


@cache
def _table(category: str) -> Mapping[str, str | EntryPoint | None]:
    return with_plugins(category, entry_points(group=f"meshproxy.{category}"))


def with_plugins(
    category: str, plugins: Iterable[EntryPoint]
) -> Mapping[str, str | EntryPoint | None]:
    """Returns our kinds of *category* and those of *plugins*. Raises `KindError` for a clash."""
    table: dict[str, str | EntryPoint | None] = dict(KINDS[category])
    for plugin in plugins:
        if table.get(plugin.name) is not None:
            raise KindError(
                f"{plugin.name} is defined twice in {category}: by {table[plugin.name]} and by "
                f"{plugin.value}, uninstall one of them"
            )
        table[plugin.name] = plugin
    return table


def _load(target: str | EntryPoint) -> "type[Kinded]":
    if isinstance(target, EntryPoint):
        return _load_plugin(target)
    module, _, name = target.partition(":")
    found: type[Kinded] = getattr(import_module(module), name)
    return found


def _load_plugin(plugin: EntryPoint) -> "type[Kinded]":
    try:
        loaded: type[Kinded] = plugin.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise KindError(f"{plugin.name} cannot be loaded from {plugin.value}: {why}") from error
    return loaded
