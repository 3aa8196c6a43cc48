"""The leaders of groups in a real ZooKeeper, by a namer and under `/$/`."""

from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config import zookeeper as config_zookeeper
from meshproxy.config.decode import ConfigErrors, Port
from meshproxy.config.load import load
from meshproxy.config.zookeeper import WholeZkAddrConfig
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.namers.zk_leader import (
    LEADER,
    MAX_ENSEMBLES,
    ZkLeaderNamerConfig,
    choose,
    host_port,
    read,
)
from meshproxy.namers.zookeeper import NodeNamer
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, Var
from tests.kit.deps import Literals, namer_deps
from tests.kit.k8s import wait_until
from tests.kit.rebinding import Rebinding
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper


class System:
    """The names under `/$/`, as a namer."""

    prefix = Path.of("$")

    def __init__(self) -> None:
        self.metrics = Tree()
        self.names = SystemNamers(Literals().resolve, self.metrics)

    def lookup(self, path: Path) -> Any:
        return self.names.lookup(path)

    def failure(self, *segments: str) -> str:
        found = self.lookup(Path.of(LEADER, *segments))
        assert isinstance(found, Var)
        state = found.sample()
        assert isinstance(state, Failed)
        return str(state.error)


@pytest.fixture
def namer(zookeeper: ZooKeeper) -> Iterator[NodeNamer[Any]]:
    config = ZkLeaderNamerConfig(
        zk_addrs=(WholeZkAddrConfig(host="127.0.0.1", port=Port(zookeeper.port)),)
    )
    made = config.build(namer_deps(config.full_prefix()))
    yield made
    wait_until(lambda: made.nodes.is_idle)


@needs_zookeeper
def test_when_the_leader_goes_the_next_one_leads(
    zookeeper: ZooKeeper, namer: NodeNamer[Any]
) -> None:
    group = {f"/e1/group/member_00{one}": f"127.0.0.1:{one}".encode() for one in (1, 2, 3)}
    zookeeper.put({**group, "/e1/group/other_000": b"127.0.0.1:9"})
    with Rebinding(namer, "/e1/group/a/b") as leader:
        bound = ("/#/io.l5d.zkLeader/e1/group", "/a/b")
        leader.wait_for(*bound, "127.0.0.1:1*1")
        zookeeper.put({"/e1/group/member_001": None})
        leader.wait_for(*bound, "127.0.0.1:2*1")
        zookeeper.put({"/e1/group/member_000": b"10.0.0.1:80,10.0.0.2:81 10.0.0.3:82"})
        leader.wait_for(*bound, "10.0.0.1:80*1", "10.0.0.2:81*1", "10.0.0.3:82*1")
        zookeeper.put({"/e1/group": None})
        leader.wait_for("neg")


@needs_zookeeper
def test_a_name_under_the_system_prefix_says_its_ensemble(zookeeper: ZooKeeper) -> None:
    zookeeper.put({"/e2/group/member_1": b"127.0.0.1:80"})
    system, servers = System(), f"127.0.0.1:1::127.0.0.1:{zookeeper.port}"
    with Rebinding(system, f"/{LEADER}/{servers}/e2/group/rest") as leader:
        leader.wait_for(f"/$/{LEADER}/{servers}/e2/group", "/rest", "127.0.0.1:80*1")
        assert isinstance(leader.state, Ok)
        assert leader.state.value.value.chosen_by is ChosenBy.REQUEST
        assert system.metrics.counter(f"$/{LEADER}", "node", "updates").value > 0


def test_a_name_under_the_system_prefix_that_says_no_group_fails() -> None:
    system = System()
    assert "write the servers of an ensemble and a path" in system.failure("127.0.0.1:2181")
    for servers in ("127.0.0.1", "127.0.0.1:0", "127.0.0.1:1:", "a:1::b", "a b:1", "a:123456"):
        assert "write servers as host:port::host:port" in system.failure(servers, "group")


def test_names_may_use_so_many_ensembles_at_once() -> None:
    system = System()
    used = [
        Rebinding(system, f"/{LEADER}/127.0.0.1:{one}/g") for one in range(1, MAX_ENSEMBLES + 1)
    ]
    assert f"{MAX_ENSEMBLES} ensembles are in use" in system.failure("127.0.0.1:99", "g")
    with Rebinding(system, f"/{LEADER}/127.0.0.1:1/other") as known:
        assert known.seen == "pending"
    used.pop().close()
    with Rebinding(system, f"/{LEADER}/127.0.0.1:99/g") as other:
        assert other.seen == "pending"
    for one in used:
        one.close()


def test_without_kazoo_such_names_fail_and_the_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config_zookeeper, "find_spec", lambda _: None)
    assert "pip install 'meshproxy[zookeeper]'" in System().failure("127.0.0.1:2181", "g")
    text = """
namers: [{kind: io.l5d.zkLeader, zkAddrs: [{host: zk.test, port: 2181}]}]
routers: [{protocol: http, servers: [{port: 0}]}]
"""
    with pytest.raises(ConfigErrors, match=r"namers\[0\]: needs the ZooKeeper client"):
        load(text, "test.yaml")


def test_each_server_needs_its_port() -> None:
    text = """
namers: [{kind: io.l5d.zkLeader, zkAddrs: [{host: zk.test}]}]
routers: [{protocol: http, servers: [{port: 0}]}]
"""
    with pytest.raises(ConfigErrors, match=r"zkAddrs\[0\].port: is missing"):
        load(text, "test.yaml")


@pytest.mark.parametrize(
    ("children", "leader"),
    [
        (["member_10", "member_9"], ["member_10"]),
        (["member_1", "member_-5"], ["member_-5"]),
        (["member_", "member_x", "a_member_1", "member_1x"], []),
        ([], []),
    ],
)
def test_the_leader_is_the_first_by_its_text(children: list[str], leader: list[str]) -> None:
    assert choose((), children) == leader


def test_data_that_has_no_address_is_no_leader() -> None:
    assert read("member_1", b"nonsense, \xff") is None
    assert read("member_1", b"nonsense,10.0.0.1:80") == (Address("10.0.0.1", 80),)
    assert host_port("[::1]:80") == ("[::1]", 80)
