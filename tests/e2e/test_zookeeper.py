"""Traffic by names that a real ZooKeeper knows, from registration to the loss of all data."""

from collections import Counter

from meshproxy.config.load import load
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get
from tests.kit.zookeeper import ZooKeeper, member, needs_zookeeper

pytestmark = needs_zookeeper
CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- kind: io.l5d.serversets
  zkAddrs: &zk [{{host: 127.0.0.1, port: {zookeeper}}}]
- kind: io.l5d.zkLeader
  zkAddrs: *zk
- kind: io.l5d.curator
  experimental: true
  zkAddrs: *zk
  basePath: /services
routers:
- protocol: http
  dtab: |
    /svc => /$/inet/127.0.0.1/{fallback} ;
    /svc => /$/io.buoyant.namer.zk.leader/127.0.0.1:{zookeeper}/leaders ;
    /svc => /#/io.l5d.zkLeader/groups ;
    /svc => /#/io.l5d.curator ;
    /svc => /#/io.l5d.serversets/discovery ;
  client: {{loadBalancer: {{kind: roundRobin}}}}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
SYSTEMS = {
    "serversets": ("/discovery/web/member_0000000001", member),
    "curator": ("/services/web/one", lambda port: {"address": "127.0.0.1", "port": port}),
    "leader": ("/groups/web/member_001", lambda port: f"127.0.0.1:{port}".encode()),
    "system leader": ("/leaders/web/member_001", lambda port: f"127.0.0.1:{port}".encode()),
}


def test_each_kind_is_followed_and_falls_back_to_the_next(zookeeper: ZooKeeper) -> None:
    origins = {name: Downstream(lambda _, name=name: name.encode()) for name in SYSTEMS}
    with Downstream(lambda _: b"fallback") as last:
        config = CONFIG.format(zookeeper=zookeeper.port, fallback=last.port)
        with Proxy(config) as proxy:

            def answer() -> str:
                return get(proxy.port(), "web").body.decode()

            assert answer() == "fallback"
            for name, (path, data) in reversed(SYSTEMS.items()):
                zookeeper.put({path: data(origins[name].port)})
                wait_until(lambda name=name: answer() == name)
            zookeeper.stop()
            assert {answer() for _ in range(20)} == {"serversets"}
            zookeeper.start()
            for name, (path, _) in SYSTEMS.items():
                assert answer() == name
                zookeeper.put({path: None})
                wait_until(lambda name=name: answer() != name)
            assert answer() == "fallback"
            path, data = SYSTEMS["leader"]
            zookeeper.put({path: data(origins["leader"].port)})
            wait_until(lambda: answer() == "leader")
            zookeeper.wipe()
            wait_until(lambda: answer() == "fallback", 30)
            state = get(proxy.linker.admin_port, "localhost", "/namer_state/io.l5d.zkLeader.json")
            assert (state.status, b'"/"' in state.body) == (200, True)
    for origin in origins.values():
        origin.close()


def test_weights_of_vectors_are_shares_of_the_traffic(zookeeper: ZooKeeper) -> None:
    with (
        Downstream(lambda _: b"heavy") as heavy,
        Downstream(lambda _: b"light") as light,
        Proxy(CONFIG.format(zookeeper=zookeeper.port, fallback=1)) as proxy,
    ):
        weigh = {"vector": [{"select": f"inet=127.0.0.1:{heavy.port}", "weight": 9}]}
        zookeeper.put(
            {
                "/discovery/weighed/vector_1": weigh,
                "/discovery/weighed/member_1": member(heavy.port),
                "/discovery/weighed/member_2": member(light.port),
            }
        )
        wait_until(lambda: get(proxy.port(), "weighed").status == 200)
        seen = Counter(get(proxy.port(), "weighed").body for _ in range(500))
        assert 20 <= seen[b"light"] <= 100
        assert seen[b"heavy"] + seen[b"light"] == 500


SERVERSETS = """
admin: {port: 9990}
namers: [{kind: io.l5d.serversets, zkAddrs: [{host: localhost, port: 2181}]}]
routers:
- protocol: http
  dtab: /svc => /#/io.l5d.serversets/discovery/prod/web ;
  servers: [{port: 4140}]
"""


def test_the_port_of_a_server_may_be_left_out() -> None:
    config = load(SERVERSETS.replace(", port: 2181", ""), "test.yaml")
    assert config.namers[0].zk_addrs[0].port == 2181


def test_a_reload_while_zookeeper_is_down_loses_nothing(zookeeper: ZooKeeper) -> None:
    with Downstream(lambda _: b"member") as origin, Downstream(lambda _: b"fallback") as last:
        config = CONFIG.format(zookeeper=zookeeper.port, fallback=last.port)
        with Proxy(config) as proxy:
            for path, data in SYSTEMS.values():
                zookeeper.put({path: data(origin.port)})
            wait_until(lambda: get(proxy.port(), "web").body == b"member")
            zookeeper.stop()
            for number in range(2):
                unused = f"dtab: |\n    /unused{number} => /$/nil ;"
                proxy.reload(config.replace("dtab: |", unused))
            assert get(proxy.port(), "web").body == b"member"
            zookeeper.start()
            zookeeper.put({path: None for path, _ in SYSTEMS.values()})
            wait_until(lambda: get(proxy.port(), "web").body == b"fallback", 30)
