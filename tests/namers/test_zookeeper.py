"""Names that are paths of nodes, through outages of a real ZooKeeper."""

import logging
from collections.abc import Iterator

import pytest

from meshproxy.discovery.members import Members
from meshproxy.discovery.zookeeper.membership import Found, Membership
from meshproxy.metrics.tree import Tree
from meshproxy.namers.zookeeper import NodeNamer, nodes_at
from meshproxy.naming.addr import Address
from meshproxy.naming.path import Path
from tests.kit.deps import Literals
from tests.kit.k8s import wait_until
from tests.kit.rebinding import Rebinding
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

pytestmark = needs_zookeeper
PORTS: Membership[int] = Membership(
    lambda _, children: [name for name in children if name.isdigit()], lambda name, _: int(name)
)


def members(_: str, found: Found[int]) -> Members:
    return Members.of(Address("10.0.0.1", port) for port in found.members.values())


class World:
    """A namer whose members are ports, and what it counts."""

    def __init__(self, zookeeper: ZooKeeper, **others: object) -> None:
        self.metrics = Tree()
        self.resolve = Literals().resolve
        nodes = nodes_at([("127.0.0.1", zookeeper.port)], self.resolve, PORTS, self.metrics)
        self.namer: NodeNamer[int] = NodeNamer(
            Path.of("#", "test"), nodes, members, self.resolve, **others
        )


@pytest.fixture
def world(zookeeper: ZooKeeper) -> Iterator[World]:
    made = World(zookeeper)
    yield made
    wait_until(lambda: made.namer.nodes.is_idle)


def test_the_root_itself_is_never_meant(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/80": b"", "/a/81": b""})
    for name, seen in {
        "/": ("neg",),
        "/x": ("neg",),
        "/a/b": ("/#/test/a", "/b", "10.0.0.1:81*1"),
    }.items():
        with Rebinding(world.namer, name) as followed:
            followed.wait_for(*seen)


def test_names_may_begin_below_the_root_and_be_short(zookeeper: ZooKeeper) -> None:
    zookeeper.put({"/base/80": b"", "/base/a/81": b"", "/base/a/b/82": b""})
    world = World(zookeeper, base=("base",), length=1)
    for name, seen in {"/a/b/c": ("/#/test/a", "/b/c", "10.0.0.1:81*1"), "/b": ("neg",)}.items():
        with Rebinding(world.namer, name) as followed:
            followed.wait_for(*seen)
    wait_until(lambda: world.namer.nodes.is_idle)


def test_through_an_outage_the_last_members_stay_and_one_line_says_so(
    zookeeper: ZooKeeper, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    zookeeper.put({"/b/80": b""})
    with Rebinding(world.namer, "/b") as followed, caplog.at_level(logging.INFO):
        followed.wait_for("/#/test/b", "/", "10.0.0.1:80*1")
        zookeeper.stop()
        wait_until(lambda: world.metrics.counter("node", "errors", "connect").value >= 2)
        assert followed.seen == ("/#/test/b", "/", "10.0.0.1:80*1")
        with Rebinding(world.namer, "/c") as new:
            assert new.seen == "neg"
        zookeeper.start()
        zookeeper.put({"/b/81": b""})
        followed.wait_for("/#/test/b", "/", "10.0.0.1:80*1", "10.0.0.1:81*1")
        connects = [one for one in caplog.messages if "no session" in one]
        assert len([one for one in connects if "no longer" not in one]) == 1
        wait_until(lambda: any("no longer: no session" in one for one in caplog.messages))


def test_an_ensemble_is_shared_by_namers_of_one_resolver(
    zookeeper: ZooKeeper, world: World
) -> None:
    zookeeper.put({"/d/80": b""})
    again = nodes_at([("127.0.0.1", zookeeper.port)], world.resolve, PORTS, Tree())
    other: NodeNamer[int] = NodeNamer(Path.of("#", "other"), again, members, world.resolve)
    with Rebinding(world.namer, "/d") as one, Rebinding(other, "/d") as two:
        one.wait_for("/#/test/d", "/", "10.0.0.1:80*1")
        two.wait_for("/#/other/d", "/", "10.0.0.1:80*1")
        assert zookeeper.measure("zk_num_alive_connections") == 2
