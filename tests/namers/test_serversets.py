"""Serversets in a real ZooKeeper."""

from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import ConfigErrors, Port
from meshproxy.config.load import load
from meshproxy.config.zookeeper import ZkAddrConfig
from meshproxy.discovery.zookeeper.membership import Found
from meshproxy.metrics.tree import Tree
from meshproxy.namers import serversets
from meshproxy.namers.serversets import ServersetsNamerConfig, read
from meshproxy.namers.zookeeper import NodeNamer
from meshproxy.naming.addr import ADDR_NEG, Addr, Address
from meshproxy.naming.path import Path
from meshproxy.var import Var
from tests.kit.deps import Literals, namer_deps
from tests.kit.k8s import wait_until
from tests.kit.objects import objects
from tests.kit.rebinding import Rebinding
from tests.kit.zookeeper import ZooKeeper, member, needs_zookeeper

NOBODY = ZkAddrConfig(host="127.0.0.1", port=Port(1))
WEB = "/#/io.l5d.serversets/{0}/web"


def build(zookeeper: ZooKeeper, metrics: Tree | None = None, **known: Var[Addr]) -> NodeNamer[Any]:
    config = ServersetsNamerConfig(
        zk_addrs=(ZkAddrConfig(host="zk.test", port=Port(zookeeper.port)),)
    )
    resolver = Literals(zk_test=Literals().resolve("127.0.0.1", str(zookeeper.port)), **known)
    return config.build(
        namer_deps(config.full_prefix(), metrics=metrics or Tree(), resolver=resolver)
    )


@pytest.fixture
def namer(zookeeper: ZooKeeper) -> Iterator[NodeNamer[Any]]:
    made = build(zookeeper)
    yield made
    wait_until(lambda: made.nodes.is_idle)


@needs_zookeeper
def test_members_come_and_go(zookeeper: ZooKeeper, namer: NodeNamer[Any]) -> None:
    with Rebinding(namer, "/t1/web/rest") as web:
        web.wait_for("neg")
        zookeeper.put({"/t1/web/member_0000000001": member(8001)})
        bound = (WEB.format("t1"), "/rest")
        web.wait_for(*bound, "127.0.0.1:8001*1")
        zookeeper.put({"/t1/web/member_0000000002": member(8002)})
        web.wait_for(*bound, "127.0.0.1:8001*1", "127.0.0.1:8002*1")
        zookeeper.put({"/t1/web/member_0000000001": member(8001, status="STOPPING")})
        web.wait_for(*bound, "127.0.0.1:8002*1")
        zookeeper.put({"/t1/web/member_0000000002": None})
        web.wait_for("neg")


@needs_zookeeper
def test_the_deepest_node_with_members_is_meant(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    zookeeper.put({"/t2/web/member_1": member(1), "/t2/web/v2/member_1": member(2)})
    with Rebinding(namer, "/t2/web/v2/x/y") as web:
        web.wait_for(WEB.format("t2") + "/v2", "/x/y", "127.0.0.1:2*1")
        zookeeper.put({"/t2/web/v2/member_1": None})
        web.wait_for(WEB.format("t2"), "/v2/x/y", "127.0.0.1:1*1")
        zookeeper.put({"/t2/web/v2": None})
        web.wait_for(WEB.format("t2"), "/v2/x/y", "127.0.0.1:1*1")


@needs_zookeeper
def test_an_endpoint_and_a_shard_may_be_asked_for(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    http = {"http": {"host": "10.0.0.1", "port": 80}}
    zookeeper.put({"/t3/web/member_1": member(1, additionalEndpoints=http)})
    zookeeper.put({"/t3/web/member_2": member(2, shard=7)})
    expected = {
        "/t3/web:http": (WEB.format("t3") + ":http", "/", "10.0.0.1:80*1"),
        "/t3/web#7/rest": (WEB.format("t3") + "#7", "/rest", "127.0.0.1:2*1"),
        "/t3/web:http#7": ("neg",),
        "/t3/web:absent": ("neg",),
        "/t3/web#9": ("neg",),
    }
    for name, seen in expected.items():
        with Rebinding(namer, name) as web:
            web.wait_for(*seen)


@needs_zookeeper
def test_vectors_weigh_and_their_weights_multiply(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    zookeeper.put({f"/t4/web/member_{one}": member(one, shard=one) for one in (1, 2, 3)})
    with Rebinding(namer, "/t4/web") as web:
        bound = (WEB.format("t4"), "/")
        web.wait_for(*bound, *(f"127.0.0.1:{one}*1" for one in (1, 2, 3)))
        by_member = {"select": "member=member_1", "weight": 2, "priority": 1}
        by_shard = {"select": "shard=1", "weight": 1.5}
        zookeeper.put({"/t4/web/vector_1": {"vector": [by_member, by_shard]}})
        by_address = {"select": "inet=127.0.0.1:2", "weight": 0.5}
        zookeeper.put({"/t4/web/vector_2": {"vector": [by_address, {"select": "nonsense"}]}})
        web.wait_for(*bound, "127.0.0.1:1*3", "127.0.0.1:2*0.5", "127.0.0.1:3*1")


@needs_zookeeper
def test_members_by_name_are_resolved(zookeeper: ZooKeeper) -> None:
    known: Var[Addr] = Literals().resolve("10.1.1.1", "5")
    namer = build(zookeeper, node_test=known)
    zookeeper.put({"/t5/web/member_1": member(5, host="node.test")})
    with Rebinding(namer, "/t5/web") as web:
        web.wait_for(WEB.format("t5"), "/", "10.1.1.1:5*1")
        known.set(ADDR_NEG)
        web.wait_for("neg")


BAD = [
    b"",
    b"garbage",
    b"[]",
    b"null",
    b"\xff",
    b"[" * 10_000,
    b'{"status": "ALIVE"}',
    b'{"status": "ALIVE", "serviceEndpoint": {"host": "", "port": 1}}',
    b'{"status": "ALIVE", "serviceEndpoint": {"host": "a", "port": "1"}}',
    b'{"status": "ALIVE", "serviceEndpoint": {"host": "a", "port": 0}}',
    b'{"status": "ALIVE", "serviceEndpoint": {"host": "a", "port": 1}, "additionalEndpoints": []}',
    b'{"status": "DEAD", "serviceEndpoint": {"host": "a", "port": 1}}',
]


@pytest.mark.parametrize("data", BAD[:-2], ids=lambda data: repr(data[:60]))
def test_what_is_no_member_is_left_out(data: bytes) -> None:
    assert read("member_1", data) is None
    assert read("vector_1", data) is None


@pytest.mark.parametrize("weight", ["-1", "NaN", "Infinity", "true", '"2"', "null"])
def test_a_weight_that_is_none_does_not_count(weight: str) -> None:
    data = f'{{"vector": [{{"select": "shard=0", "weight": {weight}}}]}}'.encode()
    assert read("vector_1", data) == ()


def test_a_node_of_that_very_name_is_no_endpoint() -> None:
    one = read(
        "member_1", b'{"status": "ALIVE", "serviceEndpoint": {"host": "10.0.0.1", "port": 1}}'
    )
    assert one is not None
    found = serversets.members("web:http", Found("web:http", {"member_1": one}))
    assert found.literal == {Address("10.0.0.1", 1)}


def test_names_that_are_no_text_are_negative() -> None:
    config = ServersetsNamerConfig(zk_addrs=(NOBODY,))
    namer = config.build(namer_deps(config.full_prefix()))
    with Rebinding(namer, r"/a\xff") as followed:
        assert followed.seen == "neg"


def test_before_the_ensemble_has_answered_names_are_pending() -> None:
    metrics = Tree()
    config = ServersetsNamerConfig(zk_addrs=(NOBODY,))
    namer = config.build(namer_deps(config.full_prefix(), metrics=metrics))
    with Rebinding(namer, "/a/b") as followed:
        wait_until(lambda: metrics.counter("node", "errors", "connect").value > 0)
        assert followed.seen == "pending"


@needs_zookeeper
def test_hundreds_of_names_that_come_and_go_leave_nothing(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    def round_of(names: int) -> None:
        followed = [Rebinding(namer, f"/t6/s{number}") for number in range(names)]
        for one in followed:
            wait_until(lambda at=one: at.seen not in ("pending", "neg"))
        for one in followed:
            one.close()
        wait_until(lambda: namer.nodes.is_idle and zookeeper.measure("zk_watch_count") == 0)

    zookeeper.put({f"/t6/s{number}/member_1": member(1) for number in range(300)})
    round_of(300)
    before = objects()
    round_of(300)
    wait_until(lambda: objects() - before < 150)
    assert namer.describe() == {}


def test_an_ensemble_without_servers_is_refused() -> None:
    text = """
namers: [{kind: io.l5d.serversets, zkAddrs: []}]
routers: [{protocol: http, servers: [{port: 0}]}]
"""
    with pytest.raises(ConfigErrors, match=r"namers\[0\].zkAddrs: names no server"):
        load(text, "test.yaml")
    assert Path.of("io.l5d.serversets") == ServersetsNamerConfig.default_prefix
