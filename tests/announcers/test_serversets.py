"""What is announced as a member of a serverset."""

import json

from meshproxy.announcers.serversets import ServersetsAnnouncerConfig, member
from meshproxy.config.announcers import AnnouncerDeps
from meshproxy.config.decode import Port
from meshproxy.config.zookeeper import ZkAddrConfig
from meshproxy.metrics.tree import Tree
from meshproxy.namers.serversets import Member, read
from meshproxy.naming.path import Path
from tests.kit.deps import Literals
from tests.kit.k8s import wait_until
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper


def test_a_member_is_read_as_the_namer_reads_it() -> None:
    assert read("member_1", member("10.0.0.1", 80)) == Member(("10.0.0.1", 80), {}, 0)


@needs_zookeeper
def test_each_endpoint_of_a_name_is_a_member_below_the_prefix(zookeeper: ZooKeeper) -> None:
    server = ZkAddrConfig(host="localhost", port=Port(zookeeper.port))
    config = ServersetsAnnouncerConfig(zk_addrs=(server,))
    assert config.full_prefix() == Path.of("#", "io.l5d.serversets")
    announcer = config.build(AnnouncerDeps(metrics=Tree(), resolver=Literals()))
    announced = announcer.announce(Path.of("prod", "web"), [("10.0.0.1", 80), ("10.0.0.2", 81)])
    wait_until(lambda: len(zookeeper.members("/discovery/prod/web")) == 2)
    said = [json.loads(data) for data in zookeeper.members("/discovery/prod/web")]
    assert sorted(one["serviceEndpoint"]["port"] for one in said) == [80, 81]
    assert all(one["status"] == "ALIVE" and one["additionalEndpoints"] == {} for one in said)
    announced.close()
    assert zookeeper.members("/discovery/prod/web") == []
