"""Requests are named by the Ingresses of a Kubernetes API, over real sockets."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from meshproxy.config.decode import ConfigErrors, Port
from meshproxy.config.load import load
from meshproxy.errors import BindingTimedOut, UnidentifiedRequest
from meshproxy.identifiers.identifier import first_of
from meshproxy.identifiers.ingress import IngressConfig, IngressIdentifier
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from tests.kit.asked import request
from tests.kit.k8s import EXTENSIONS, NETWORKING, KubeApi, ingress, wait_until
from tests.kit.wire import WAIT_S

SVC = Path.of("svc")
Spec = dict[str, Any]


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as serving:
        yield serving


class World:
    """An identifier of the API, and what it says."""

    def __init__(self, api: KubeApi, **keys: Any) -> None:
        config = IngressConfig(host="127.0.0.1", port=Port(api.port), **keys)
        self.identifier: IngressIdentifier = config.build(SVC)
        self._identify = first_of([self.identifier], 5.0)

    def name(self, target: str = "/", host: str | None = "web.test") -> str:
        """Return the name of a request, or why it has none."""
        fields = {} if host is None else {"Host": host.encode()}
        try:
            return self._identify(request(target.encode(), **fields)).show()
        except UnidentifiedRequest as error:
            return str(error).rpartition(" / ")[2]

    def wait_for(self, name: str, target: str = "/", host: str | None = "web.test") -> None:
        """Wait until that is the name."""
        wait_until(lambda: self.name(target, host) == name)


@pytest.fixture
def world(api: KubeApi) -> Iterator[World]:
    made = World(api)
    yield made
    made.identifier.close()


def backend(service: str, port: int | str = 80) -> Spec:
    kind = "number" if isinstance(port, int) else "name"
    return {"service": {"name": service, "port": {kind: port}}}


def rule(
    service: str,
    path: str | None = None,
    kind: str | None = None,
    host: str | None = None,
    port: int | str = 80,
) -> Spec:
    entry: Spec = {"backend": backend(service, port)}
    if path is not None:
        entry["path"] = path
    if kind is not None:
        entry["pathType"] = kind
    return {"http": {"paths": [entry]}, **({"host": host} if host else {})}


def spec(*rules: Spec, **others: Any) -> Spec:
    return {"rules": list(rules), **others}


def test_a_rule_names_its_service_by_namespace_and_port(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", spec(rule("web", "/web"), rule("api", "/api", port="http")), "shop"))
    assert world.name("/web?x=/api") == "/svc/shop/80/web"
    assert world.name("/api") == "/svc/shop/http/api"
    assert world.name("/other") == "no ingress rule matches"


PATHS = [
    ("Exact", "/api", "/api", True),
    ("Exact", "/api", "/api/", False),
    ("Prefix", "/api", "/api", True),
    ("Prefix", "/api", "/api/", True),
    ("Prefix", "/api", "/api/v1", True),
    ("Prefix", "/api", "/apix", False),
    ("Prefix", "/api/", "/api", True),
    ("Prefix", "/", "/anything", True),
    ("ImplementationSpecific", "/a.*c", "/abbc", True),
    ("ImplementationSpecific", "/a", "/ab", False),
    (None, "/[0-9]+", "/42", True),
    (None, None, "/anything", True),
    (None, "", "/anything", True),
    (None, "/(", "/(", False),
]


@pytest.mark.parametrize(("kind", "path", "target", "matches"), PATHS)
def test_how_a_path_matches(
    api: KubeApi, world: World, kind: str | None, path: str | None, target: str, *, matches: bool
) -> None:
    api.apply(ingress("a", spec(rule("web", path, kind))))
    expected = "/svc/default/80/web" if matches else "no ingress rule matches"
    assert world.name(target) == expected


HOSTS = [
    ("web.test", "web.test", True),
    ("web.test", "web.test:8080", True),
    ("web.test", "Web.test", False),
    ("web.test", None, False),
    (None, None, True),
    (None, "any.test", True),
    ("*.web.test", "a.web.test", True),
    ("*.web.test", "a.b.web.test", False),
    ("*.web.test", "web.test", False),
]


@pytest.mark.parametrize(("written", "asked", "matches"), HOSTS)
def test_how_a_host_matches(
    api: KubeApi, world: World, written: str | None, asked: str | None, *, matches: bool
) -> None:
    api.apply(ingress("a", spec(rule("web", host=written))))
    expected = "/svc/default/80/web" if matches else "no ingress rule matches"
    assert world.name("/", asked) == expected


def test_a_host_with_two_colons_is_refused(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", spec(rule("web"))))
    assert "is not a host and a port" in world.name("/", "a:80:90")


def test_the_first_rule_in_the_order_of_the_list_decides(api: KubeApi, world: World) -> None:
    api.apply(ingress("b", spec(rule("second", host="*.test"))))
    api.apply(ingress("a", spec(rule("first"))))
    api.apply(ingress("c", spec(rule("third", host="web.test"))))
    assert world.name() == "/svc/default/80/first"
    api.apply(ingress("a", spec(rule("first", "/only"))))
    world.wait_for("/svc/default/80/second")
    api.apply(ingress("a", spec(rule("again"))))
    world.wait_for("/svc/default/80/again")


def test_default_backends_come_after_all_rules(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", spec(defaultBackend=backend("fallback"))))
    api.apply(ingress("b", spec(rule("web", "/web"), defaultBackend=backend("unused"))))
    assert world.name("/web") == "/svc/default/80/web"
    assert world.name("/other") == "/svc/default/80/fallback"
    without = World(api, ignore_default_backends=True)
    assert without.name("/other") == "no ingress rule matches"
    without.identifier.close()


def test_an_ingress_of_another_class_does_not_count(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", spec(rule("nginx"), ingressClassName="nginx")))
    api.apply(ingress("b", spec(rule("other"), ingressClassName="linkerd"), annotated_class="x"))
    api.apply(ingress("c", spec(rule("ours"), ingressClassName="x"), annotated_class="linkerd"))
    assert world.name() == "/svc/default/80/ours"
    api.apply(ingress("c", spec(rule("ours"), ingressClassName="nginx")))
    world.wait_for("no ingress rule matches")
    api.apply(ingress("d", spec(rule("classless"))))
    world.wait_for("/svc/default/80/classless")


def test_a_backend_that_is_no_service_matches_nothing(api: KubeApi, world: World) -> None:
    resource = {"http": {"paths": [{"backend": {"resource": {"kind": "Bucket", "name": "b"}}}]}}
    api.apply(ingress("a", spec(resource, rule("web"))))
    assert world.name() == "/svc/default/80/web"


def test_one_malformed_ingress_takes_no_other_along(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", {"rules": "all"}))
    api.apply(ingress("b", spec(rule("web"))))
    assert world.name() == "/svc/default/80/web"


def test_an_old_cluster_has_the_beta_api(api: KubeApi, world: World) -> None:
    api.has_beta_ingresses = True
    old = {"serviceName": "web", "servicePort": 80}
    paths = {"http": {"paths": [{"path": "/web", "backend": old}]}}
    api.apply(ingress("a", {"rules": [paths], "backend": {**old, "servicePort": "http"}}))
    assert world.name("/web") == "/svc/default/80/web"
    assert world.name("/") == "/svc/default/http/web"
    asked = [target.partition("?")[0] for target in api.requests]
    assert asked[:2] == [f"{NETWORKING}/ingresses", f"{EXTENSIONS}/ingresses"]


def test_one_namespace_may_be_enough(api: KubeApi) -> None:
    api.apply(ingress("a", spec(rule("other")), "elsewhere"))
    api.apply(ingress("a", spec(rule("web")), "shop"))
    world = World(api, namespace="shop")
    assert world.name() == "/svc/shop/80/web"
    world.identifier.close()
    wait_until(lambda: not api.watchers)


def test_while_the_api_is_away_the_last_rules_stay(api: KubeApi, world: World) -> None:
    api.apply(ingress("a", spec(rule("web"))))
    assert world.name() == "/svc/default/80/web"
    api.close()
    assert world.name() == "/svc/default/80/web"
    api.apply(ingress("a", spec(rule("other"))))
    api.listen()
    world.wait_for("/svc/default/80/other")


def test_without_a_first_list_a_request_waits_for_the_binding_timeout(api: KubeApi) -> None:
    api.refusals["ingresses"] = 500
    identifier = IngressConfig(host="127.0.0.1", port=Port(api.port)).build(SVC)
    with pytest.raises(BindingTimedOut, match=r"0\.05\.seconds binding timeout"):
        first_of([identifier], 0.05)(request(Host=b"web.test"))
    waiting = gevent.spawn(first_of([identifier], 10), request(Host=b"web.test"))
    api.apply(ingress("a", spec(rule("web"))))
    del api.refusals["ingresses"]
    assert waiting.get(timeout=WAIT_S) == Path.parse("/svc/default/80/web")
    identifier.close()


def test_nothing_is_asked_before_the_first_request_or_after_the_end(api: KubeApi) -> None:
    world = World(api)
    world.identifier.close()
    assert world.name() == "the ingress rules are not known any more"
    assert api.requests == []


def test_what_the_api_does_is_counted(api: KubeApi, world: World) -> None:
    metrics = Tree()
    world.identifier.report(metrics)
    api.refusals["ingresses"] = 403
    waiting = gevent.spawn(world.name)
    wait_until(lambda: metrics.gauge("failures", "status").read() > 0)
    api.refusals.clear()
    waiting.join()
    assert metrics.gauge("lists").read() == 1


WRONG = [
    ("namespace: Shop", "no namespace can have"),
    ("auth: inCluster, port: 80", "remove host and port"),
    ("context: dev", "needs auth: kubeconfig"),
]


@pytest.mark.parametrize(("keys", "what"), WRONG)
def test_wrong_keys_are_refused(keys: str, what: str) -> None:
    text = f"""
routers:
- protocol: http
  identifier: {{kind: io.l5d.ingress, {keys}}}
  servers: [{{port: 0}}]
"""
    with pytest.raises(ConfigErrors, match=what):
        load(text, "test.yaml")
