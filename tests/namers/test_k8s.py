"""The namers of Kubernetes, over an API server on a real socket."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meshproxy.config.decode import Port
from meshproxy.namers.k8s import (
    K8sConfig,
    K8sExternalNamerConfig,
    K8sNamerConfig,
    K8sNsNamerConfig,
)
from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Described, Enumerating, Lookup, Namer
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, Var, wait
from tests.kit.deps import namer_deps
from tests.kit.k8s import KubeApi, service, wait_until

ENVIRON = {"POD_NAMESPACE": "default"}


class Names:
    """Resolves what it was given."""

    def __init__(self) -> None:
        self.known = {"lb.example": AddrBound(frozenset({Address("192.0.2.7", 80)}))}

    def resolve(self, host: str, port: str) -> Var[Addr]:
        assert port == "80"
        return Var(self.known.get(host, ADDR_NEG))


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as api:
        api.publish("hello", "10.0.0.1", labels={"version": "v1"})
        yield api


def build(kind: type[K8sConfig], api: KubeApi, **keys: Any) -> Namer:
    """Build a namer of *kind* that asks *api*."""
    config = kind(host="127.0.0.1", port=Port(api.port), **keys)
    deps = namer_deps(config.full_prefix(), resolver=Names(), environ=ENVIRON)
    return config.build(deps)


def answer(lookup: Lookup) -> Any:
    """Wait for the tree."""
    if not isinstance(lookup, Var):
        return lookup
    state = wait(lookup, timeout_s=10)
    assert isinstance(state, Ok)
    return state.value


def shown(tree: Any) -> Any:
    """Show id and residual of a leaf, and any other tree as it is."""
    if not isinstance(tree, Leaf):
        return tree
    bound = tree.value
    assert isinstance(bound, Bound)
    return bound.id.show(), bound.residual.show()


@pytest.mark.parametrize(
    ("kind", "keys", "path", "expected"),
    [
        pytest.param(
            K8sNamerConfig, {}, "/default/http/hello",
            ("/#/io.l5d.k8s/default/http/hello", "/"), id="plain",
        ),
        pytest.param(
            K8sNamerConfig, {}, "/DEFAULT/Http/Hello/Rest/of",
            ("/#/io.l5d.k8s/default/http/hello", "/Rest/of"), id="lower case, residual kept",
        ),
        pytest.param(K8sNamerConfig, {}, "/default/http", NEG, id="too short"),
        pytest.param(K8sNamerConfig, {}, "/default/http/nobody", NEG, id="no service"),
        pytest.param(K8sNamerConfig, {}, "/default/grpc/hello", NEG, id="no port"),
        pytest.param(K8sNamerConfig, {}, "/other/http/hello", NEG, id="no namespace"),
        pytest.param(
            K8sNamerConfig, {"prefix": Path.of("my", "k8s")}, "/default/http/hello",
            ("/#/my/k8s/default/http/hello", "/"), id="prefix",
        ),
        pytest.param(
            K8sNamerConfig, {"label_selector": "version"}, "/default/http/hello/V1/x",
            ("/#/io.l5d.k8s/default/http/hello/v1", "/x"), id="label",
        ),
        pytest.param(
            K8sNamerConfig, {"label_selector": "version"}, "/default/http/hello/v2", NEG,
            id="other label",
        ),
        pytest.param(
            K8sNamerConfig, {"label_selector": "version"}, "/default/http/hello", NEG,
            id="label missing",
        ),
        pytest.param(
            K8sNsNamerConfig, {}, "/http/Hello/rest",
            ("/#/io.l5d.k8s.ns/http/hello", "/rest"), id="ns",
        ),
        pytest.param(K8sNsNamerConfig, {}, "/http", NEG, id="ns too short"),
        pytest.param(
            K8sNsNamerConfig, {"label_selector": "version"}, "/http/hello/v1",
            ("/#/io.l5d.k8s.ns/http/hello/v1", "/"), id="ns with label",
        ),
    ],
)  # fmt: skip
def test_what_a_name_is_bound_to(
    api: KubeApi, kind: type[K8sConfig], keys: dict[str, Any], path: str, expected: object
) -> None:
    assert shown(answer(build(kind, api, **keys).lookup(Path.parse(path)))) == expected


@pytest.mark.parametrize(
    "segments",
    [
        ("default", "http", "linkerd.io"),
        ("default", "http", "hello:80"),
        ("default", "http", "../../../secrets"),
        ("default", "http", b"\xff\xfe"),
        ("default", "http", "h\u00e9llo"),
        ("default", "70000", "hello"),
        ("-x", "http", "hello"),
    ],
)
def test_names_that_cannot_be_are_negative_without_asking(
    api: KubeApi, segments: tuple[str | bytes, ...]
) -> None:
    assert build(K8sNamerConfig, api).lookup(Path.of(*segments)) == NEG
    assert api.requests == []


class Followed:
    """All trees of a lookup, and all address sets of the first bound one."""

    def __init__(self, lookup: Lookup) -> None:
        assert isinstance(lookup, Var)
        self.trees: list[Any] = []
        self.addrs: list[Any] = []
        self._closes: list[Callable[[], None]] = []
        self._closes.append(lookup.observe(self._take))

    def _take(self, state: Any) -> None:
        self.trees.append(shown(state.value) if isinstance(state, Ok) else state)
        if isinstance(state, Ok) and isinstance(state.value, Leaf) and len(self._closes) == 1:
            self._closes.append(state.value.value.addr.observe(self.addrs.append))

    def close(self) -> None:
        for close in self._closes:
            close()


def bound(*hosts: str) -> AddrBound:
    return AddrBound(frozenset(Address(host, 8080) for host in hosts))


def test_the_tree_stays_while_addresses_come_and_go(api: KubeApi) -> None:
    followed = Followed(build(K8sNamerConfig, api).lookup(Path.parse("/default/http/hello")))
    leaf = ("/#/io.l5d.k8s/default/http/hello", "/")
    wait_until(lambda: followed.trees[-1] == leaf and api.watchers)
    api.publish("hello", "10.0.0.1", "10.0.0.2")
    wait_until(lambda: followed.addrs[-1] == bound("10.0.0.1", "10.0.0.2"))
    api.publish("hello")
    wait_until(lambda: followed.addrs[-1] == bound())
    assert followed.trees == [PENDING, leaf]
    api.withdraw("hello")
    wait_until(lambda: followed.trees[-1] == NEG)
    api.publish("hello", "10.0.0.3")
    wait_until(lambda: followed.trees[-1] == leaf)
    assert followed.trees == [PENDING, leaf, NEG, leaf]
    assert followed.addrs == [
        bound("10.0.0.1"), bound("10.0.0.1", "10.0.0.2"), bound(), ADDR_NEG, bound("10.0.0.3"),
    ]  # fmt: skip
    followed.close()


def test_a_numeric_port_goes_through_the_service(api: KubeApi) -> None:
    api.apply(service("hello", [{"name": "http", "port": 80, "targetPort": "web"}]))
    tree = answer(build(K8sNamerConfig, api).lookup(Path.parse("/default/80/hello")))
    assert shown(tree) == ("/#/io.l5d.k8s/default/80/hello", "/")


def test_namers_of_one_api_share_its_watch(api: KubeApi) -> None:
    paths = ["/default/http/hello", "/default/http/a", "/default/http/b"]
    namers = [build(K8sNamerConfig, api), build(K8sNamerConfig, api, prefix=Path.of("two"))]
    follows = [Followed(namer.lookup(Path.parse(path))) for namer in namers for path in paths]
    wait_until(lambda: api.watchers and all(each.trees[-1] != PENDING for each in follows))
    assert len(api.requests) == 2
    for followed in follows:
        followed.close()
    wait_until(lambda: not api.watchers)


@pytest.mark.parametrize("fault", ["refused", 401, 403, 500, "stalled"])
def test_without_any_answer_names_become_negative_after_the_fallback_time(
    api: KubeApi, fault: str | int
) -> None:
    match fault:
        case int():
            api.refusals["/"] = fault
        case "refused":
            api.close()
        case _:
            api.stall()
    namer = build(K8sNamerConfig, api, fallback_after_ms=20)
    followed = Followed(namer.lookup(Path.parse("/default/http/hello")))
    wait_until(lambda: followed.trees[-1] == NEG)
    again = namer.lookup(Path.parse("/default/http/other"))
    assert isinstance(again, Var)
    assert again.sample() == Ok(NEG)
    api.refusals.clear()
    if fault == "refused":
        api.listen()
    api.resume()
    wait_until(lambda: followed.trees[-1] != NEG)
    assert shown(followed.trees[-1]) == ("/#/io.l5d.k8s/default/http/hello", "/")
    followed.close()


def test_without_a_fallback_time_names_stay_pending(api: KubeApi) -> None:
    api.refusals["/"] = 403
    followed = Followed(build(K8sNamerConfig, api).lookup(Path.parse("/default/http/hello")))
    wait_until(lambda: len(api.requests) > 4)
    assert followed.trees == [PENDING]
    followed.close()


@pytest.mark.parametrize(
    ("ingress", "host"),
    [({"ip": "192.0.2.1"}, "192.0.2.1"), ({"hostname": "lb.example"}, "192.0.2.7")],
)
def test_an_external_name_is_the_load_balancer(
    api: KubeApi, ingress: dict[str, str], host: str
) -> None:
    api.apply(service("web", [{"name": "http", "port": 80}], ingress=[ingress]))
    namer = build(K8sExternalNamerConfig, api, experimental=True)
    followed = Followed(namer.lookup(Path.parse("/Default/http/Web/Rest")))
    wait_until(lambda: followed.trees[-1] != PENDING)
    assert followed.trees[-1] == ("/#/io.l5d.k8s.external/Default/http/Web", "/Rest")
    assert followed.addrs[-1] == AddrBound(frozenset({Address(host, 80)}))
    followed.close()


def test_a_service_without_a_load_balancer_is_no_external_name(api: KubeApi) -> None:
    api.apply(service("web", [{"name": "http", "port": 80}]))
    namer = build(K8sExternalNamerConfig, api, experimental=True)
    assert answer(namer.lookup(Path.parse("/default/http/web"))) == NEG


@pytest.mark.parametrize("variable", ["NOWHERE", ""])
def test_the_namespace_variable_must_be_set(api: KubeApi, variable: str) -> None:
    with pytest.raises(ValueError, match="needs the environment variable"):
        build(K8sNsNamerConfig, api, env_var=variable)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, None),
        ({"auth": "inCluster"}, None),
        ({"auth": "kubeconfig", "context": "lab"}, None),
        ({"auth": "inCluster", "host": "elsewhere"}, "remove host and port"),
        ({"auth": "inCluster", "kubeconfig": "x"}, "needs auth: kubeconfig"),
        ({"context": "lab"}, "needs auth: kubeconfig"),
    ],
)
def test_where_the_api_is_is_said_once(keys: dict[str, Any], problem: str | None) -> None:
    problems = [found.what for found in K8sNamerConfig(**keys).check()]
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


def test_credentials_take_a_package_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    (problem,) = K8sNamerConfig(auth="inCluster").check()
    assert (problem.key, "pip install kubernetes" in problem.what) == ("auth", True)
    assert list(K8sNamerConfig().check()) == []


def test_the_names_of_all_ports_that_have_endpoints_are_listed(api: KubeApi) -> None:
    namer = build(K8sNamerConfig, api)
    assert isinstance(namer, Enumerating)
    assert list(namer.names()) == []
    tree = namer.lookup(Path.of("default", "http", "hello"))
    assert isinstance(tree, Var)
    close = tree.observe(lambda _: None)
    wait_until(namer.names)
    assert [name.show() for name in namer.names()] == ["/#/io.l5d.k8s/default/http/hello"]
    of_one = build(K8sNsNamerConfig, api)
    assert isinstance(of_one, Enumerating)
    assert [name.show() for name in of_one.names()] == ["/#/io.l5d.k8s.ns/http/hello"]
    labelled = build(K8sNamerConfig, api, label_selector="version")
    assert isinstance(labelled, Enumerating)
    assert list(labelled.names()) == []
    close()


def test_what_it_watches_is_told(api: KubeApi) -> None:
    namer = build(K8sNamerConfig, api)
    assert isinstance(namer, Described)
    tree = namer.lookup(Path.of("default", "http", "hello"))
    assert isinstance(tree, Var)
    close = tree.observe(lambda _: None)
    wait_until(lambda: namer.describe()["endpoints"]["default"]["watch"]["streaming"])
    told = namer.describe()["endpoints"]["default"]
    assert told["state"]["value"] == {"objects": 1, "followed": {"hello": 1}}
    assert told["watch"]["request"].startswith("GET /apis/discovery.k8s.io/v1/namespaces/default/")
    assert [one.name for one in namer.cluster.followed()] == ["endpoints of default"]
    close()
    assert namer.describe() == {"endpoints": {}, "services": {}, "ingresses": {}}
