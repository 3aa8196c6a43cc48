"""Services of Curator in a real ZooKeeper."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import ConfigErrors, Port
from meshproxy.config.load import load
from meshproxy.config.zookeeper import ZkAddrConfig
from meshproxy.namers.curator import CuratorNamerConfig, read
from meshproxy.namers.zookeeper import NodeNamer
from meshproxy.naming.addr import Address
from meshproxy.naming.path import Path
from tests.kit.deps import namer_deps
from tests.kit.k8s import wait_until
from tests.kit.rebinding import Rebinding
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper


@pytest.fixture
def namer(zookeeper: ZooKeeper) -> Iterator[NodeNamer[Any]]:
    config = CuratorNamerConfig(
        zk_addrs=(ZkAddrConfig(host="127.0.0.1", port=Port(zookeeper.port)),),
        base_path=Path.of("base", "services"),
    )
    made = config.build(namer_deps(config.full_prefix()))
    yield made
    wait_until(lambda: made.nodes.is_idle)


def instance(port: int | None, **others: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "id": "x",
        "address": "127.0.0.1",
        "port": port,
        "sslPort": None,
        **others,
    }


@needs_zookeeper
def test_instances_of_a_service_come_and_go(zookeeper: ZooKeeper, namer: NodeNamer[Any]) -> None:
    with Rebinding(namer, "/web/rest") as web:
        web.wait_for("neg")
        zookeeper.put({"/base/services/web/one": instance(1)})
        bound = ("/#/io.l5d.curator/web", "/rest")
        web.wait_for(*bound, "127.0.0.1:1*1")
        zookeeper.put({"/base/services/web/two": instance(2, sslPort=443)})
        web.wait_for(*bound, "127.0.0.1:1*1", "127.0.0.1:443*1")
        zookeeper.put({"/base/services/web/one": None, "/base/services/web/two": None})
        web.wait_for("neg")


@needs_zookeeper
def test_only_what_is_right_below_the_base_is_a_service(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    zookeeper.put({"/base/services/api/one": instance(1), "/base/services/api/one/x": instance(2)})
    for name, seen in {
        "/api/one": ("/#/io.l5d.curator/api", "/one", "127.0.0.1:1*1"),
        "/absent": ("neg",),
    }.items():
        with Rebinding(namer, name) as followed:
            followed.wait_for(*seen)
    shown = {}
    with Rebinding(namer, "/api") as followed:
        followed.wait_for("/#/io.l5d.curator/api", "/", "127.0.0.1:1*1")
        shown = dict(namer.describe())
        assert {one.name for one in namer.followed()} == shown.keys()
    assert set(shown) == {"/", "/base", "/base/services", "/base/services/api"}
    assert shown["/base/services"]["state"]["value"]["members"] == {}


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (json.dumps(instance(80)).encode(), Address("127.0.0.1", 80)),
        (json.dumps(instance(None, sslPort=443)).encode(), Address("127.0.0.1", 443)),
        (json.dumps(instance(None)).encode(), None),
        (json.dumps(instance(70000)).encode(), None),
        (b'{"address": "", "port": 80}', None),
        (b'{"port": 80}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_what_an_instance_says(data: bytes, address: Address | None) -> None:
    assert read("x", data) == address


def test_it_is_experimental() -> None:
    text = """
namers: [{kind: io.l5d.curator, zkAddrs: [{host: zk.test}]}]
routers: [{protocol: http, servers: [{port: 0}]}]
"""
    with pytest.raises(ConfigErrors, match="is experimental"):
        load(text, "test.yaml")
