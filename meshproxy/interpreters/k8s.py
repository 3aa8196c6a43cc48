"""A dtab that is kept in a ConfigMap of Kubernetes: io.l5d.k8s.configMap.

linkerd: interpreter/k8s/src/main/scala/.../ConfigMapInterpreterInitializer.scala.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from meshproxy.backoff import equal_jitter
from meshproxy.config import kubernetes
from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.decode import Port, Problem, RegularFile, key
from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.k8s.config_map import ConfigMapKey
from meshproxy.discovery.k8s.objects import is_dns_label
from meshproxy.discovery.watching.watch import Watch, WatchStats
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.stored import WatchedDtabInterpreter, read_dtabs, show_dtab
from meshproxy.naming.dtab import Dtab
from meshproxy.var import Ok, State

BACKOFF: Final = equal_jitter(0.001, 5.0)
_KEY: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapInterpreterConfig(InterpreterConfig):
    """Binds names by a dtab that is kept in a ConfigMap, followed by the router's dtab.

    An absent ConfigMap or key is an empty dtab. A text that does not parse leaves the dtab as it
    was, and is empty at the start.
    """

    kind: ClassVar[str] = "io.l5d.k8s.configMap"
    requires_experimental: ClassVar[bool] = True

    name: str = key(doc="The ConfigMap.")
    filename: str = key(doc="The key in its data.")
    namespace: str = key(default="default", doc="The namespace of the ConfigMap.")
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
        """Kubernetes can have the names, and what says where the API is, is said once."""
        if not is_dns_label(self.namespace):
            yield Problem("is a name that no namespace can have", "namespace")
        if not all(map(is_dns_label, self.name.split("."))):
            yield Problem("is a name that no ConfigMap can have", "name")
        if _KEY.fullmatch(self.filename) is None:
            yield Problem("is a key that no ConfigMap can have", "filename")
        at = self.host, self.port
        yield from kubernetes.problems(at, self.auth, self.kubeconfig, self.context)

    def build(self, deps: InterpreterDeps) -> WatchedDtabInterpreter:
        """Builds the interpreter."""
        server = ApiServer(self.host, self.port, self.auth, self.kubeconfig, self.context)
        api = KubernetesApi(server, Timing())
        stored = ConfigMapKey(self.namespace, self.name, self.filename)
        unreadable = deps.metrics.counter("unreadable")
        watch: Watch[State[Dtab]] = Watch(
            api,
            f"{self.namespace}/{self.name}/{self.filename}",
            lambda line: read_dtabs(stored.follow(api, line), lambda _: Ok(Dtab()), unreadable),
            backoff=BACKOFF,
            stats=WatchStats(deps.metrics),
            show=show_dtab,
            style="watch",
        )
        inner = DefaultInterpreter(deps.namers, deps.system, deps.transformers)
        return WatchedDtabInterpreter(watch, inner)
