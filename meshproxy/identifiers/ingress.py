"""Names by the Ingresses of Kubernetes: io.l5d.ingress.

networking.k8s.io/v1 where the API has it, extensions/v1beta1 elsewhere
(linkerd: k8s/.../IngressCache.scala, linkerd/protocol/http/.../IngressIdentifier.scala).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, Literal, TypeAlias

from meshproxy.config import kubernetes
from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.decode import Port, Problem, RegularFile, key
from meshproxy.discovery.k8s.api import ApiServer
from meshproxy.discovery.k8s.cluster import Cluster, cluster_at
from meshproxy.discovery.k8s.objects import Backend, Ingress, is_dns_label
from meshproxy.http.message import Request
from meshproxy.identifiers.identifier import Declined, Named
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Activity, Close, Failed, Ok, State, Var

REMEMBERED: Final = 1000
"""Hosts whose rules are remembered; the least recently used one is dropped."""
MATCHERS: Final = 10_000
"""Compiled paths of rules that are remembered when an Ingress changes."""
UNMATCHED: Final = Declined("no ingress rule matches")
CLOSED: Final = Declined("the ingress rules are not known any more")

Matches: TypeAlias = Callable[[str], bool]
Rule: TypeAlias = tuple[Matches, Path]


class Rules:
    """The rules of *ingresses*; the first one that matches a request names it."""

    def __init__(self, ingresses: Iterable[Ingress], prefix: Path, *, with_defaults: bool) -> None:
        self._any: list[tuple[int, Rule]] = []
        self._hosts: dict[str, list[tuple[int, Rule]]] = {}
        self._default: Named = UNMATCHED
        number = 0
        for ingress in ingresses:
            for path in ingress.paths:
                matches = _matcher(path.match, path.path)
                if matches is None:
                    continue
                rules = self._any if path.host is None else self._hosts.setdefault(path.host, [])
                rules.append((number, (matches, _name(prefix, ingress, path.backend))))
                number += 1
            if with_defaults and self._default is UNMATCHED and ingress.default is not None:
                self._default = _name(prefix, ingress, ingress.default)
        self._of_host = lru_cache(REMEMBERED)(self._find)

    def name(self, request: Request) -> Named:
        """Returns the name of *request*. Raises ValueError if its host has more than one colon."""
        host, colon, port = (request.headers.get("Host") or "").partition(":")
        if ":" in port:
            raise ValueError(f"{host}{colon}{port} is not a host and a port")
        path = request.target.partition(b"?")[0].decode("latin-1")
        for matches, name in self._of_host(host):
            if matches(path):
                return name
        return self._default

    def _find(self, host: str) -> tuple[Rule, ...]:
        """Returns all rules for *host* in their order."""
        parent = f"*.{host.partition('.')[2]}"
        found = [*self._any, *self._hosts.get(host, ()), *self._hosts.get(parent, ())]
        return tuple(rule for _, rule in sorted(found, key=lambda numbered: numbered[0]))


@lru_cache(MATCHERS)
def _matcher(match: str, text: str) -> Matches | None:
    """Returns a function that tests a path; None if *text* is not a valid regular expression."""
    if match == "Exact":
        return lambda path: path == text
    if match == "Prefix":
        whole = text.rstrip("/")
        return lambda path: path.startswith(whole) and path[len(whole) :][:1] in ("", "/")
    try:
        pattern = re.compile(text or ".*", re.DOTALL)
    except re.error:
        return None
    return lambda path: pattern.fullmatch(path) is not None


def _name(prefix: Path, ingress: Ingress, backend: Backend) -> Path:
    return prefix + Path.of(ingress.namespace, backend.port, backend.service)


class IngressIdentifier:
    """Follows the Ingresses of *namespace*, or of all if empty, from the first request on.

    Ingresses of another class than *ingress_class* are ignored; those without a class are not.
    """

    def __init__(
        self,
        prefix: Path,
        cluster: Cluster,
        namespace: str,
        ingress_class: str,
        *,
        with_defaults: bool,
    ) -> None:
        self._prefix = prefix
        self._cluster = cluster
        self._ingresses = cluster.ingresses(namespace)
        self._class = ingress_class
        self._with_defaults = with_defaults
        self._known: Var[State[tuple[Ingress, ...]]] = Var(PENDING)
        self._rules: Rules | None = None
        """The rules known, once a request has asked for them."""
        self._close: Close | None = None
        self._is_closed = False

    def __call__(self, request: Request) -> Named | Activity[Named]:
        """Returns the name of *request*, or waits until the Ingresses are known."""
        if self._rules is not None:
            return self._rules.name(request)
        if self._close is None and not self._is_closed:
            self._close = self._ingresses.observe(self._take)
        known = self._known.sample()
        if isinstance(known, Ok):
            return self._compiled(known.value).name(request)
        if self._is_closed:
            return CLOSED
        return self._known.map(lambda state: self._named(state, request))

    def report(self, metrics: Tree) -> None:
        """Shows in *metrics* how the API is doing."""
        self._cluster.report(metrics)

    def close(self) -> None:
        """Stops watching."""
        self._is_closed = True
        if self._close is not None:
            self._close()
            self._close = None

    def _take(self, state: State[tuple[Ingress, ...] | None]) -> None:
        if isinstance(state, Ok):
            self._rules = None
            self._known.set(Ok(state.value or ()))

    def _named(self, state: State[tuple[Ingress, ...]], request: Request) -> State[Named]:
        if not isinstance(state, Ok):
            return PENDING
        try:
            return Ok(self._compiled(state.value).name(request))
        except ValueError as error:
            return Failed(error)

    def _compiled(self, ingresses: Iterable[Ingress]) -> Rules:
        if self._rules is None:
            used = (one for one in ingresses if one.ingress_class in (None, self._class))
            self._rules = Rules(used, self._prefix, with_defaults=self._with_defaults)
        return self._rules


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressConfig(IdentifierConfig):
    """The rules of the Ingresses of Kubernetes; names are `/namespace/port/service`."""

    kind: ClassVar[str] = "io.l5d.ingress"
    namespace: str | None = key(default=None, doc="The namespace of the Ingresses; all when unset.")
    ingress_class_annotation: str = key(
        default="linkerd",
        doc="The class of the Ingresses that count; those without a class count as well.",
    )
    ignore_default_backends: bool = key(
        default=False, doc="Requests that no rule matches have no name."
    )
    host: str = key(default="localhost", doc="The API server, by plain HTTP: a `kubectl proxy`.")
    port: Port = key(default=Port(8001), minimum=1, doc="The port of the API server.")
    auth: Literal["inCluster", "kubeconfig"] | None = key(
        default=None, added=True, doc="As the namers' `auth`."
    )
    kubeconfig: RegularFile | None = key(
        default=None, added=True, doc="As the namers' `kubeconfig`."
    )
    context: str | None = key(default=None, added=True, doc="As the namers' `context`.")

    def check(self) -> Iterable[Problem]:
        """Yields problems: an impossible namespace, or two keys that both say where the API is."""
        if self.namespace is not None and not is_dns_label(self.namespace):
            yield Problem(f"{self.namespace!r} is a name that no namespace can have", "namespace")
        at = self.host, self.port
        yield from kubernetes.problems(at, self.auth, self.kubeconfig, self.context)

    def build(self, prefix: Path) -> IngressIdentifier:
        """Returns the identifier; names begin with *prefix*."""
        return IngressIdentifier(
            prefix,
            cluster_at(ApiServer(self.host, self.port, self.auth, self.kubeconfig, self.context)),
            self.namespace or "",
            self.ingress_class_annotation,
            with_defaults=not self.ignore_default_backends,
        )
