import sys
from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import Ip, Port
from meshproxy.discovery.k8s.api import ApiServer
from meshproxy.discovery.k8s.cluster import cluster_at
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, AddrBound
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.nametree import EMPTY, FAIL, NEG
from meshproxy.naming.path import Path
from meshproxy.transformers.k8s import DaemonSetConfig, LocalNodeConfig, through
from tests.kit.k8s import KubeApi, service, wait_until

from .conftest import parse

NONE: list[str] = []


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as api:
        api.publish("l5d", "10.0.1.9", "10.0.2.9", port=4141, port_name="incoming")
        yield api


def daemonset(api: KubeApi, **keys: Any) -> DaemonSetConfig:
    where = {"namespace": "default", "service": "l5d", "port": "incoming"}
    return DaemonSetConfig(k8s_host="127.0.0.1", k8s_port=Port(api.port), **{**where, **keys})


@pytest.mark.parametrize(
    ("by_node", "addresses", "gateways", "expected"),
    [
        pytest.param(
            False, ["10.0.1.1:80", "10.0.1.2:80", "10.0.3.1:80"],
            ["10.0.1.9:4141", "10.0.2.9:4141"], ["10.0.1.9:4141"], id="subnet",
        ),
        pytest.param(
            False, ["10.0.1.1:80"], ["10.0.1.8:4141", "10.0.1.9:4141"],
            ["10.0.1.8:4141", "10.0.1.9:4141"], id="several on a node",
        ),
        pytest.param(False, ["10.0.3.1:80"], ["10.0.1.9:4141"], NONE, id="no gateway"),
        pytest.param(False, ["fd00::1:80"], ["fd00::2:4141"], NONE, id="IPv6 has no /24"),
        pytest.param(
            False, ["10.0.1.1:80@a"], ["10.0.1.9:4141@b", "10.0.2.9:4141@a"], ["10.0.2.9:4141"],
            id="nodes that are known decide",
        ),
        pytest.param(
            False, ["fd00::1:80@a"], ["fd01::9:4141@a"], ["fd01::9:4141"], id="nodes with IPv6",
        ),
        pytest.param(
            False, ["10.0.1.1:80@a"], ["10.0.1.9:4141"], ["10.0.1.9:4141"],
            id="the gateway's node is unknown",
        ),
        pytest.param(
            False, ["10.0.1.1:80"], ["10.0.1.9:4141@a"], ["10.0.1.9:4141"],
            id="the address's node is unknown",
        ),
        pytest.param(
            True, ["10.0.1.1:80@a", "10.0.1.2:80@b"],
            ["192.0.2.1:4141@a", "10.0.1.9:4141@c", "10.0.1.8:4141"], ["192.0.2.1:4141"],
            id="host network",
        ),
        pytest.param(
            True, ["10.0.1.1:80"], ["192.0.2.1:4141", "192.0.2.2:4141@a"], ["192.0.2.1:4141"],
            id="host network without nodes",
        ),
        pytest.param(False, [], ["10.0.1.9:4141"], NONE, id="no addresses"),
    ],
)  # fmt: skip
def test_the_gateways_to_a_set(
    by_node: bool, addresses: list[str], gateways: list[str], expected: list[str]
) -> None:
    found = through(
        AddrBound(frozenset(map(parse, addresses))),
        AddrBound(frozenset(map(parse, gateways))),
        by_node=by_node,
    )
    shown = found.addresses if isinstance(found, AddrBound) else frozenset()
    assert sorted(f"{one.host}:{one.port}" for one in shown) == expected
    assert isinstance(found, AddrBound) or found == ADDR_NEG


def test_addresses_become_the_daemons_of_their_nodes(build: Any, follow: Any, api: KubeApi) -> None:
    followed = follow(build(daemonset(api)), "10.0.1.1:80", "10.0.1.2:80")
    assert followed.chosen_by is ChosenBy.NAMER
    assert followed.id == "/%/io.l5d.k8s.daemonset/default/incoming/l5d/#/x"
    assert followed.seen == [ADDR_PENDING]
    wait_until(lambda: followed.now == ["10.0.1.9:4141"] and api.watchers)
    followed.addr.set(AddrBound(frozenset({parse("10.0.2.1:80")})))
    assert followed.now == ["10.0.2.9:4141"]
    api.publish("l5d", "10.0.2.8", port=4141, port_name="incoming")
    wait_until(lambda: followed.now == ["10.0.2.8:4141"])
    api.withdraw("l5d")
    wait_until(lambda: followed.now == ADDR_NEG)
    followed.close()


def test_a_numeric_port_goes_through_the_service(build: Any, follow: Any, api: KubeApi) -> None:
    api.apply(service("l5d", [{"port": 80, "targetPort": 4141}]))
    followed = follow(build(daemonset(api, port="80")), "10.0.1.1:80")
    assert followed.id == "/%/io.l5d.k8s.daemonset/default/80/l5d/#/x"
    wait_until(lambda: followed.now == ["10.0.1.9:4141"])
    followed.close()


def test_host_network_goes_by_node_names(build: Any, follow: Any, api: KubeApi) -> None:
    api.publish("l5d", ("192.0.2.1", "a"), ("192.0.2.2", "b"), port=4141, port_name="incoming")
    followed = follow(build(daemonset(api, host_network=True)), "10.0.1.1:80@b")
    wait_until(lambda: followed.now == ["192.0.2.2:4141"])
    followed.close()


@pytest.mark.parametrize("tree", [NEG, FAIL, EMPTY])
def test_without_bound_names_no_gateways_are_looked_for(
    build: Any, api: KubeApi, tree: Any
) -> None:
    assert build(daemonset(api)).transform(tree) == tree
    assert api.requests == []


def test_an_address_set_that_is_not_bound_does_not_wait_for_gateways(
    build: Any, follow: Any, api: KubeApi
) -> None:
    api.stall()
    followed = follow(build(daemonset(api)), "10.0.1.1:80")
    followed.addr.set(ADDR_NEG)
    assert followed.seen == [ADDR_PENDING, ADDR_NEG]
    followed.close()


def test_gateways_are_awaited_as_long_as_the_namer_waits(
    build: Any, follow: Any, api: KubeApi
) -> None:
    api.refusals["/"] = 403
    cluster = cluster_at(ApiServer("127.0.0.1", api.port))
    cluster.share_fallback(0.02)
    followed = follow(build(daemonset(api)), "10.0.1.1:80")
    wait_until(lambda: followed.seen == [ADDR_PENDING, ADDR_NEG])
    followed.close()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, None),
        ({"port": "4141"}, None),
        ({"service": "l5d.default"}, "cannot have"),
        ({"port": "0"}, "cannot have"),
        ({"auth": "inCluster"}, "remove k8sHost and k8sPort"),
        ({"context": "lab"}, "needs auth: kubeconfig"),
    ],
)
def test_keys_that_cannot_be_are_refused(
    api: KubeApi, keys: dict[str, Any], problem: str | None
) -> None:
    problems = [found.what for found in daemonset(api, **keys).check()]
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


def test_credentials_take_a_package_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    config = DaemonSetConfig(namespace="a", service="b", port="c", auth="inCluster")
    (problem,) = config.check()
    assert (problem.key, "pip install kubernetes" in problem.what) == ("auth", True)


@pytest.mark.parametrize(
    ("keys", "environ", "ends", "expected"),
    [
        pytest.param(
            {}, {"POD_IP": "10.0.1.7"}, "10.0.1.7", ["10.0.1.1:80", "10.0.1.2:80"], id="subnet",
        ),
        pytest.param(
            {}, {"POD_IP": "10.0.1.7", "NODE_NAME": "b"}, "10.0.1.7",
            ["10.0.1.1:80", "10.0.2.1:80"], id="nodes that are known decide",
        ),
        pytest.param({}, {"POD_IP": "10.9.9.9"}, "10.9.9.9", ADDR_NEG, id="nothing here"),
        pytest.param(
            {"pod_ip": Ip("10.0.2.2")}, {}, "10.0.2.2", ["10.0.2.1:80"], id="podIp",
        ),
        pytest.param(
            {"pod_ip": Ip("10.0.2.2")}, {"POD_IP": "10.0.1.7"}, "10.0.1.7",
            ["10.0.1.1:80", "10.0.1.2:80"], id="POD_IP before podIp",
        ),
        pytest.param(
            {"host_network": True}, {"NODE_NAME": "b"}, "b", ["10.0.2.1:80"], id="host network",
        ),
        pytest.param(
            {"host_network": True, "node_name": "a"}, {}, "a", ["10.0.1.2:80"], id="nodeName",
        ),
    ],
)  # fmt: skip
def test_only_addresses_of_this_node_are_kept(
    build: Any, follow: Any, keys: Any, environ: dict[str, str], ends: str, expected: object
) -> None:
    build.environ = environ
    addresses = ["10.0.1.1:80", "10.0.1.2:80@a", "10.0.2.1:80@b"]
    followed = follow(build(LocalNodeConfig(**keys)), *addresses)
    assert followed.chosen_by is ChosenBy.REQUEST
    assert followed.id == Path.of("%", "io.l5d.k8s.localnode", ends, "#", "x").show()
    assert followed.now == expected
    followed.close()


def test_a_prefix_of_its_own_ends_in_the_address_too() -> None:
    config = LocalNodeConfig(prefix=Path.of("mine"), pod_ip=Ip("127.0.0.1"))
    assert config.full_prefix({}) == Path.of("%", "mine", "127.0.0.1")


@pytest.mark.parametrize(
    ("host_network", "environ", "problem"),
    [
        (False, {"NODE_NAME": "a"}, "needs the environment variable POD_IP"),
        (False, {"POD_IP": "here"}, "POD_IP"),
        (True, {"POD_IP": "10.0.1.7"}, "needs the environment variable NODE_NAME"),
    ],
)
def test_without_a_place_there_is_an_error(
    host_network: bool, environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        LocalNodeConfig(host_network=host_network).full_prefix(environ)
